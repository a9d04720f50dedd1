// Several appearances on several structures, and the way from one appearance to another.
import { request } from "./api.js";
import { attempt, element, make, onFile, say } from "./dom.js";
import { remember } from "./history.js";
import { prepare } from "./pictures.js";
import { fillStrip, markStrip, sampleFile, samples, strip } from "./samples.js";
import { chosenPictures, onPictures } from "./swap.js";
import { unzip } from "./unzip.js";
import { view } from "./viewer.js";
import { counted } from "./words.js";

const SAMPLES_A_SIDE = 4;
const MOST_A_SIDE = 16; // that a screen can show
const STEPS = 11;

const chosen = { appearance: [], structure: [] };
let second = null; // appearance that a walk leads to
let frames = [];

const typeOf = (name) => (name.endsWith(".json") ? "application/json" : "image/png");

/** Composites of a form, with the place of each: what `index.json` of the zip says. */
async function composites(path, body) {
  if (element("scene").value) path += `${path.includes("?") ? "&" : "?"}scene=${element("scene").value}`;
  const answer = await request(path, { method: "POST", body, headers: { Accept: "application/zip" } });
  const blob = await answer.blob();
  const files = await unzip(blob, typeOf);
  const index = JSON.parse(await files.get("index.json").text());
  return { blob, members: index.data.map((member) => ({ ...member, blob: files.get(member.file) })) };
}

function showChosen(role) {
  const list = element(`grid-${role}s`);
  for (const image of list.querySelectorAll("img")) URL.revokeObjectURL(image.src);
  list.replaceChildren(...chosen[role].map((file, index) => {
    const button = make("button", { type: "button", className: "thumb" },
      make("img", { src: URL.createObjectURL(file), alt: "" }));
    button.setAttribute("aria-label", `Take ${file.name} out`);
    button.title = `Take ${file.name} out`;
    button.addEventListener("click", () => {
      chosen[role].splice(index, 1);
      showChosen(role);
      (list.children[Math.min(index, list.children.length - 1)]
        ?? element(`grid-${role}-files`)).focus();
    });
    return make("li", {}, button);
  }));
  const [rows, columns] = [chosen.appearance.length, chosen.structure.length];
  element("grid-go").disabled = !rows || !columns;
  element("grid-count").textContent = rows && columns
    ? `${rows} x ${columns}: ${counted(rows * columns, "composite")}`
    : "Choose at least one of each";
}

async function add(role, files) {
  await attempt(element("grid-problem"), async () => {
    for (const file of files) {
      if (chosen[role].length >= MOST_A_SIDE) {
        throw new Error(`At most ${MOST_A_SIDE} of each fit on the page; dgnet swap takes whole folders.`);
      }
      chosen[role].push((await prepare(file)).file);
      showChosen(role);
    }
  });
}

async function useSamples() {
  const { pictures } = await samples();
  const half = Math.floor(pictures.length / 2);
  for (const [role, from] of [["appearance", 0], ["structure", half]]) {
    const some = pictures.slice(from, from + SAMPLES_A_SIDE);
    chosen[role] = await Promise.all(some.map(sampleFile));
    showChosen(role);
  }
}

const url = (blob) => URL.createObjectURL(blob);

async function makeGrid() {
  const body = new FormData();
  for (const role of ["appearance", "structure"]) {
    for (const file of chosen[role]) body.append(role, file);
  }
  const pictures = { appearance: [...chosen.appearance], structure: [...chosen.structure] };
  const { blob, members } = await composites("/v1/swaps/grid", body);
  const heads = pictures.structure.map((file, column) => make("th", { scope: "col" },
    make("img", { src: url(file), alt: `Structure ${column + 1}` })));
  const rows = pictures.appearance.map((file, row) => make("tr", {},
    make("th", { scope: "row" }, make("img", { src: url(file), alt: `Appearance ${row + 1}` })),
    ...pictures.structure.map((structure, column) => {
      const member = members.find((one) => one.appearance === row && one.structure === column);
      return make("td", {}, cell(member, file, structure));
    })));
  const corner = make("td", { className: "muted" }, "clothes of the row on the column");
  element("grid-result").replaceChildren(make("table", { className: "crossed" },
    make("thead", {}, make("tr", {}, corner, ...heads)), make("tbody", {}, ...rows)));
  element("grid-download").href = url(blob);
  element("grid-download").hidden = false;
}

function cell(member, appearance, structure) {
  const src = url(member.blob);
  const name = `appearance ${member.appearance + 1} on structure ${member.structure + 1}`;
  const button = make("button", { type: "button", className: "plain" }, make("img", { src, alt: "" }));
  button.setAttribute("aria-label", `Look closer: ${name}`);
  button.addEventListener("click", () => view({
    title: name,
    pictures: [
      { name: "Structure", src: url(structure) },
      { name: "Composite", src },
      { name: "Appearance", src: url(appearance) },
    ],
    actions: [make("a", { className: "quiet", href: src, download: member.file }, "Download")],
  }));
  return button;
}

function showFrame() {
  const at = Number(element("walk-slider").value);
  const frame = frames[at];
  if (!frame) return;
  element("walk-picture").src = frame.src;
  const share = Math.round(frame.weight * 100);
  element("walk-share").textContent = `${100 - share} % of the first clothes, ${share} % of the second`;
  element("walk-slider").setAttribute("aria-valuetext", element("walk-share").textContent);
}

async function walk() {
  const { appearance, structure } = chosenPictures();
  const body = new FormData();
  body.append("appearance", appearance);
  body.append("appearance", second);
  body.append("structure", structure);
  const { members } = await composites(`/v1/swaps/interpolation?steps=${STEPS}`, body);
  for (const frame of frames) URL.revokeObjectURL(frame.src);
  frames = members.map(({ blob, weight, file }) => ({ src: url(blob), blob, weight, file }));
  element("walk-slider").max = frames.length - 1;
  element("walk-slider").value = Math.floor(frames.length / 2);
  element("walk-result").hidden = false;
  showFrame();
}

function refreshWalk() {
  const { appearance, structure } = chosenPictures();
  element("walk-go").disabled = !(appearance && structure && second);
  element("walk-hint").textContent = appearance && structure
    ? "From the appearance above to a second one, on the structure above."
    : "Choose an appearance and a structure above first.";
}

async function takeSecond(file, sample = null) {
  await attempt(element("walk-problem"), async () => {
    const prepared = sample ? { file } : await prepare(file);
    second = prepared.file;
    const image = element("walk-drop").querySelector("img");
    if (image.src) URL.revokeObjectURL(image.src);
    image.src = url(second);
    image.alt = `second appearance: ${second.name}`;
    image.hidden = false;
    element("walk-drop").querySelector(".hint").hidden = true;
    markStrip(strip("walk"), sample);
    refreshWalk();
  });
}

/** Runs something that takes a while at a button. */
async function busy(button, problem, action) {
  const words = button.textContent;
  button.disabled = true;
  button.textContent = "Working\u2026";
  await attempt(problem, action);
  button.textContent = words;
  button.disabled = false;
}

export function startSeveral() {
  for (const role of ["appearance", "structure"]) {
    onFile(element(`grid-${role}-files`).closest(".drop"), (_, files) => add(role, files));
    showChosen(role);
  }
  element("grid-samples").addEventListener("click", () =>
    attempt(element("grid-problem"), useSamples));
  element("grid-form").addEventListener("submit", (event) => {
    event.preventDefault();
    if (!element("grid-go").disabled) busy(element("grid-go"), element("grid-problem"), makeGrid);
  });
  onFile(element("walk-drop"), (file) => takeSecond(file));
  fillStrip(strip("walk"), "is the second appearance", async (address) =>
    takeSecond(await sampleFile(address), address));
  element("walk-form").addEventListener("submit", (event) => {
    event.preventDefault();
    if (!element("walk-go").disabled) busy(element("walk-go"), element("walk-problem"), walk);
  });
  element("walk-slider").addEventListener("input", showFrame);
  element("walk-keep").addEventListener("click", () => {
    const frame = frames[Number(element("walk-slider").value)];
    const { appearance, structure } = chosenPictures();
    remember({ composite: frame.blob, appearance, structure });
    say(element("received"), "The composite is among those of this session.");
  });
  onPictures(refreshWalk);
  refreshWalk();
}
