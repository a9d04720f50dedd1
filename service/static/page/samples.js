// The sample people that come with the server: to try it at once, without pictures of one's own.
import { element, make } from "./dom.js";

let listing = null;

/** `{pictures, dataset}`: addresses of single pictures, and of an archive of all. */
export async function samples() {
  listing ??= fetch("/samples").then((answer) => (answer.ok ? answer.json() : null));
  try {
    return (await listing) ?? { pictures: [], dataset: null };
  } catch {
    listing = null;
    return { pictures: [], dataset: null };
  }
}

/** The file behind an address of a sample. */
export async function sampleFile(address) {
  const name = address.split("/").at(-1);
  return new File([await (await fetch(address)).blob()], name, { type: "image/jpeg" });
}

/** Buttons with the sample people in `strip`; `take` is given the address of the one pressed. */
export async function fillStrip(strip, purpose, take) {
  const { pictures } = await samples();
  strip.replaceChildren(...pictures.map((address, index) => {
    const button = make("button", { type: "button", className: "thumb" },
      make("img", { src: address, alt: "", loading: "lazy", width: 32, height: 64 }));
    button.setAttribute("aria-label", `Sample person ${index + 1} ${purpose}`);
    button.addEventListener("click", () => take(address));
    return button;
  }));
  strip.hidden = pictures.length === 0;
}

/** The chosen one of a strip, as screen readers and style have it. */
export function markStrip(strip, address) {
  for (const button of strip.children) {
    const pressed = button.firstChild.getAttribute("src") === address;
    button.setAttribute("aria-pressed", String(pressed));
    if (pressed) strip.scrollLeft = button.offsetLeft - strip.clientWidth / 2;
  }
}

export const strip = (name) => element(`${name}-samples`);
