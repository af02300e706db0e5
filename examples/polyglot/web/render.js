// Makes public/index.html out of the templates: at build time, and by sync+exec
// whenever one is saved.
import { readFileSync, writeFileSync } from "node:fs";

const part = (name) => readFileSync(new URL(`templates/${name}.html`, import.meta.url), "utf8");
const page = part("page").replace(/\{\{(\w+)\}\}/g, (_, name) => part(name).trim());
writeFileSync(new URL("public/index.html", import.meta.url), page);
console.log("rendered public/index.html");
