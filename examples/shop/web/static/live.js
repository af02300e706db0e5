// Keeps the page fresh: fetches it again every two seconds and puts the new
// middle in place of the old one. Without scripts the page works as it is.
const refresh = async () => {
  if (document.hidden || document.querySelector("#live :active")) return;
  try {
    const answer = await fetch("/", { signal: AbortSignal.timeout(1500) });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    document.getElementById("live").replaceWith(page.getElementById("live"));
    document.body.classList.remove("offline");
  } catch {
    document.body.classList.add("offline");
  }
};
setInterval(refresh, 2000);
