// Markdown of the service's own cards as elements: headings, paragraphs, lists, tables, pictures,
// code, links and bold text. Whatever else is in it, names of files above all, stays text.
import { make } from "./dom.js";

const INLINE = /`([^`]+)`|\*\*([^*]+)\*\*|!\[([^\]]*)\]\(([^)\s]+)\)|\[([^\]]+)\]\(([^)\s]+)\)/g;
const PLAIN_CHARACTERS = /\\([\\`*_{}[\]()#+\-.!|<>])/g;

const unescaped = (text) => text.replace(PLAIN_CHARACTERS, "$1");

/** `picture` makes an element of the words and path of a picture. */
function inline(text, picture) {
  const parts = [];
  let at = 0;
  for (const found of text.matchAll(INLINE)) {
    parts.push(unescaped(text.slice(at, found.index)));
    at = found.index + found[0].length;
    const [, code, bold, alt, source, words, target] = found;
    if (code !== undefined) parts.push(make("code", {}, code));
    else if (bold !== undefined) parts.push(make("b", {}, unescaped(bold)));
    else if (source !== undefined) parts.push(picture(unescaped(alt), source));
    else if (/^https?:\/\//.test(target)) {
      parts.push(make("a", { href: target, rel: "noreferrer" }, unescaped(words)));
    } else parts.push(unescaped(words));
  }
  parts.push(unescaped(text.slice(at)));
  return parts;
}

const cells = (line) =>
  line.trim().replace(/^\||\|$/g, "").split(/(?<!\\)\|/).map((cell) => cell.trim());

function table(lines, picture) {
  const [head, rule, ...rows] = lines.map(cells);
  const right = rule.map((cell) => cell.endsWith(":"));
  const row = (kind) => (texts) => make("tr", {}, ...texts.map((text, column) =>
    make(kind, { className: right[column] ? "number" : "words" }, ...inline(text, picture))));
  const heading = row("th")(head);
  for (const cell of heading.children) cell.scope = "col";
  return make("div", { className: "scroll", tabIndex: 0 },
    make("table", {}, make("thead", {}, heading), make("tbody", {}, ...rows.map(row("td")))));
}

/** Elements of a text; headings begin at the level `top`. Metadata before the text is left out. */
export function markdown(text, { top = 5, picture }) {
  const lines = text.replace(/^---\n[\s\S]*?\n---\n/, "").split("\n");
  const elements = [];
  while (lines.length) {
    const line = lines.shift();
    const heading = /^(#{1,6}) (.*)$/.exec(line);
    const isTable = line.startsWith("|") && /^\|?[\s:|-]+\|?$/.test(lines[0] ?? "");
    if (heading) {
      const level = Math.min(top - 1 + heading[1].length, 6);
      elements.push(make(`h${level}`, {}, ...inline(heading[2], picture)));
    } else if (isTable) {
      const rows = [line];
      while (lines[0]?.startsWith("|")) rows.push(lines.shift());
      elements.push(table(rows, picture));
    } else if (/^[-*] /.test(line)) {
      const items = [line.slice(2)];
      while (/^([-*] | {2})/.test(lines[0] ?? "")) {
        const next = lines.shift();
        if (/^[-*] /.test(next)) items.push(next.slice(2));
        else items[items.length - 1] += ` ${next.trim()}`;
      }
      elements.push(make("ul", {}, ...items.map((item) => make("li", {}, ...inline(item, picture)))));
    } else if (line.startsWith("```")) {
      const code = [];
      while (lines.length && !lines[0].startsWith("```")) code.push(lines.shift());
      lines.shift();
      elements.push(make("pre", { tabIndex: 0 }, code.join("\n")));
    } else if (line.trim()) {
      const words = [line.trim()];
      while (lines[0]?.trim() && !/^(#{1,6} |\||[-*] |```)/.test(lines[0])) words.push(lines.shift().trim());
      elements.push(make("p", {}, ...inline(words.join(" "), picture)));
    }
  }
  return elements;
}
