const notice = (text) => { document.getElementById("notice").textContent = text; };

const cell = (row, content) => row.insertCell().append(content);

async function refresh() {
  const { links, clicks } = await (await fetch("/api/links")).json();
  const table = document.getElementById("links");
  table.replaceChildren();
  for (const { code, url } of links) {
    const row = table.insertRow();
    cell(row, Object.assign(document.createElement("a"), { href: `/${code}`, textContent: `/${code}` }));
    cell(row, url);
    cell(row, clicks ? `${clicks[code] ?? 0} clicks` : "clicks unknown: stats is down");
  }
}

document.getElementById("add").addEventListener("submit", async (event) => {
  event.preventDefault();
  const answer = await fetch("/api/links", { method: "POST", body: JSON.stringify({ url: event.target.url.value }) });
  const said = await answer.json();
  notice(answer.ok ? `Short: /${said.code}` : said);
  if (answer.ok) event.target.reset();
  await refresh();
});

refresh().catch((error) => notice(String(error)));
setInterval(() => refresh().catch((error) => notice(String(error))), 2000);
