// Pictures side by side at their real pixels, or each pixel larger, with their sizes said.
import { element, make } from "./dom.js";

const NARROW_PIXELS = 700; // three pictures at four times are wider

let zoom = 4;

function fit() {
  for (const image of element("viewer-pictures").querySelectorAll("img")) {
    if (!image.naturalWidth) continue;
    // Sources may be much larger than the composite: they are shown at its height.
    const height = Number(image.dataset.height) || image.naturalHeight;
    image.height = height * zoom;
    image.width = Math.round((image.naturalWidth * height * zoom) / image.naturalHeight);
    const caption = image.parentElement.querySelector(".size");
    const real = `${image.naturalWidth} x ${image.naturalHeight} pixels`;
    const scaled = height === image.naturalHeight ? "" : ", shown at the composite's height";
    caption.textContent = real + scaled;
  }
  element("viewer-scale").textContent = zoom === 1
    ? "Each pixel of the composite is one pixel of this page."
    : `Each pixel of the composite is shown as ${zoom} x ${zoom}.`;
}

function figure({ name, src, missing }, heightOf) {
  const caption = make("figcaption", {}, make("b", {}, name), " ",
    make("span", { className: "size muted" }, src ? "" : missing));
  if (!src) return make("figure", {}, caption);
  const image = make("img", { alt: name });
  image.addEventListener("load", async () => {
    image.dataset.height = (await heightOf) ?? image.naturalHeight;
    fit();
  });
  image.src = src;
  return make("figure", {}, caption, image);
}

const loaded = (src) => new Promise((resolve) => {
  const image = new Image();
  image.addEventListener("load", () => resolve(image.naturalHeight));
  image.addEventListener("error", () => resolve(null));
  image.src = src;
});

/**
 * `pictures` are `{name, src}`, or `{name, missing}` with the reason; `main` is the number of the
 * one whose height the others take. `details` are elements, `actions` buttons and links below.
 */
export function view({ title, pictures, main = 1, details = [], actions = [] }) {
  const dialog = element("viewer");
  const lead = pictures[main]?.src ?? pictures.find((picture) => picture.src)?.src;
  const heightOf = lead ? loaded(lead) : Promise.resolve(null);
  element("viewer-title").textContent = title;
  element("viewer-pictures").replaceChildren(...pictures.map((one) => figure(one, heightOf)));
  element("viewer-details").replaceChildren(...details);
  element("viewer-actions").replaceChildren(...actions);
  fit();
  if (!dialog.open) dialog.showModal();
}

export function startViewer() {
  for (const choice of document.getElementsByName("zoom")) {
    choice.addEventListener("change", () => {
      zoom = Number(choice.value);
      fit();
    });
  }
  if (innerWidth < NARROW_PIXELS) {
    zoom = 1;
    document.querySelector("[name=zoom][value='1']").checked = true;
  }
  element("viewer-close").addEventListener("click", () => element("viewer").close());
  element("viewer").addEventListener("click", (event) => {
    if (event.target === element("viewer")) element("viewer").close(); // beside it
  });
}
