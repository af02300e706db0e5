// The page, the redirects, and a door to the api. When stats or redis is away
// the links still work; only the counting stops.
import http from "node:http";
import { readFile } from "node:fs/promises";
import { extname, join, normalize } from "node:path";
import { send } from "./redis.js";

const API = "http://api:8000";
const STATS = "http://stats:8000";
const TYPES = { ".html": "text/html; charset=utf-8", ".css": "text/css", ".js": "text/javascript" };

const log = (level, msg, more = {}) => console.log(JSON.stringify({ time: new Date().toISOString(), level, msg, ...more }));

const ask = (url, options) => fetch(url, { ...options, signal: AbortSignal.timeout(1500) });

function answer(res, status, body, type = "application/json") {
  res.writeHead(status, { "Content-Type": type, "Cache-Control": "no-store" });
  res.end(type === "application/json" ? JSON.stringify(body) : body);
}

async function file(res, name) {
  try {
    answer(res, 200, await readFile(join("public", normalize("/" + name))), TYPES[extname(name)] ?? "application/octet-stream");
  } catch {
    answer(res, 404, "no such file");
  }
}

async function list(res) {
  const clicks = ask(`${STATS}/counts`)
    .then((r) => r.json())
    .catch((error) => {
      log("warn", "stats is down, no counts", { error: String(error.cause ?? error) });
      return null;
    });
  const links = await ask(`${API}/links`);
  answer(res, links.status, { links: await links.json(), clicks: await clicks });
}

async function add(req, res) {
  let body = "";
  for await (const chunk of req) body += chunk;
  const made = await ask(`${API}/links`, { method: "POST", body });
  answer(res, made.status, await made.json());
}

async function follow(res, code) {
  const found = await ask(`${API}/links/${encodeURIComponent(code)}`);
  const link = await found.json();
  if (!found.ok) return answer(res, found.status, link);
  send("RPUSH", "clicks", code).catch((error) => log("warn", "redis is down, a click is lost", { code, error: String(error) }));
  res.writeHead(302, { Location: link.url });
  res.end();
}

const server = http.createServer(async (req, res) => {
  const { pathname } = new URL(req.url, "http://web");
  try {
    if (pathname === "/health") answer(res, 200, "ok");
    else if (pathname === "/") await file(res, "index.html");
    else if (pathname.startsWith("/public/")) await file(res, pathname.slice("/public/".length));
    else if (pathname === "/api/links" && req.method === "POST") await add(req, res);
    else if (pathname === "/api/links") await list(res);
    else await follow(res, pathname.slice(1));
  } catch (error) {
    log("error", "api is down", { path: pathname, error: String(error.cause ?? error) });
    if (!res.headersSent) answer(res, 503, "the links cannot be reached just now");
  }
});

server.listen(3000, () => log("info", "listening", { port: 3000 }));
process.on("SIGTERM", () => process.exit(0));
