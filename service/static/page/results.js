// What a job made: the contact sheet, downloads and the data card.
import { hasKey, request } from "./api.js";
import { attempt, make } from "./dom.js";
import { markdown } from "./markdown.js";

/** Fill the results of a job that is done, once they are opened. */
export function startResults(part, job) {
  const address = job.links.files;
  const files = [
    ["Archive (tar)", job.links.archive, `${job.id}.tar`],
    ["Manifest (Parquet)", `${address}manifest.parquet`, `${job.id}.manifest.parquet`],
    ["Manifest (JSON lines)", `${address}manifest.jsonl`, `${job.id}.manifest.jsonl`],
    ["Data card", `${address}card.md`, `${job.id}.card.md`],
  ];
  part("downloads").replaceChildren(
    ...files.map(([name, path, file]) => make("li", {}, download(part, name, path, file))));
  part("terminal").textContent =
    `dgnet generate --job ${job.id} -o ${job.id} --server ${location.origin}`;
  whenOpened(part("results"), () => showSheet(part, job));
  whenOpened(part("card"), () => showCard(part, address));
}

/** Once: a sheet or a card that could not be shown is tried again when it is opened again. */
function whenOpened(details, load) {
  let loaded = false;
  details.addEventListener("toggle", async () => {
    if (!details.open || loaded) return;
    loaded = true;
    loaded = await load();
  });
}

/** Pictures are fetched, not linked to: a link cannot carry a key. */
async function pictureUrl(path) {
  return URL.createObjectURL(await (await request(path)).blob());
}

function showSheet(part, job) {
  if (job.kept === 0) return true; // nothing to show
  return attempt(part("results-problem"), async () => {
    part("sheet").src = await pictureUrl(job.links.preview);
    part("figure").hidden = false;
  });
}

function showCard(part, address) {
  return attempt(part("results-problem"), async () => {
    const text = await (await request(`${address}card.md`)).text();
    const picture = (alt, path) => {
      const image = make("img", { alt });
      const place = address + path.split("/").map(encodeURIComponent).join("/");
      pictureUrl(place).then((src) => Object.assign(image, { src }), () => image.remove());
      return image;
    };
    part("card-text").replaceChildren(...markdown(text, { picture }));
  });
}

/** A link. With a key the file comes through the page's memory, else straight to the disk. */
function download(part, name, path, file) {
  const link = make("a", { href: path, download: file }, name);
  link.addEventListener("click", async (event) => {
    if (!hasKey()) return;
    event.preventDefault();
    link.textContent = `${name}: fetching\u2026`;
    await attempt(part("results-problem"), async () => {
      const url = await pictureUrl(path);
      make("a", { href: url, download: file }).click();
      URL.revokeObjectURL(url);
    });
    link.textContent = name;
  });
  return link;
}
