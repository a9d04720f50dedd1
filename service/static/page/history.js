// What was made in this session: to look at again and to download. Nothing of it is kept anywhere.
import { element, make } from "./dom.js";
import { view } from "./viewer.js";

const MOST = 60; // composites; older ones make room
let number = 0;

/** `{title, composite, structure, appearance, similarity}`; pictures are blobs. */
export function remember(swap) {
  number += 1;
  const urls = Object.fromEntries(["composite", "structure", "appearance"].map((role) =>
    [role, URL.createObjectURL(swap[role])]));
  const name = `composite-${String(number).padStart(3, "0")}.png`;
  const button = make("button", { type: "button", className: "thumb large" },
    make("img", { src: urls.composite, alt: "" }));
  button.setAttribute("aria-label", `Look at ${name} again`);
  const entry = { ...swap, name, urls };
  button.addEventListener("click", () => look(entry));
  const link = make("a", { href: urls.composite, download: name }, "Download");
  link.setAttribute("aria-label", `Download ${name}`);
  const item = make("li", {}, button, link);
  item.release = () => Object.values(urls).forEach((url) => URL.revokeObjectURL(url));
  element("history").prepend(item);
  while (element("history").children.length > MOST) {
    const oldest = element("history").lastElementChild;
    oldest.release();
    oldest.remove();
  }
  element("history-block").hidden = false;
  return entry;
}

/** Structure, composite and appearance side by side. */
export function look({ name, urls, similarity }) {
  view({
    title: name,
    pictures: [
      { name: "Structure", src: urls.structure },
      { name: "Composite", src: urls.composite },
      { name: "Appearance", src: urls.appearance },
    ],
    details: similarity ? [make("p", {}, similarity)] : [],
    actions: [make("a", { className: "quiet", href: urls.composite, download: name }, "Download")],
  });
}

export function startHistory() {
  element("forget").addEventListener("click", () => {
    for (const item of element("history").children) item.release();
    element("history").replaceChildren();
    element("history-block").hidden = true;
    element("go").focus();
  });
}
