// Sends two pictures to POST /v1/swaps and shows the composite.
import { request } from "./api.js";
import { attempt, element, onFile, say } from "./dom.js";
import { look, remember } from "./history.js";
import { prepare } from "./pictures.js";
import { fillStrip, markStrip, sampleFile, samples, strip } from "./samples.js";
import { similarities } from "./similarity.js";

const ROLES = ["appearance", "structure"];
const FIRST_SAMPLES = { appearance: 8, structure: 4 };

const pictures = { appearance: null, structure: null };
const previews = { appearance: null, structure: null };
const sampleOf = { appearance: null, structure: null };
let shown = null; // what the history has of the composite
let running = false;
let last = "structure"; // role that was filled last, by whatever way
const changed = new EventTarget();

const problemOf = (role) => document.querySelector(`[data-problem="${role}"]`);

/** The pictures that are chosen; `onPictures` is told when they change. */
export const chosenPictures = () => ({ ...pictures });
export const onPictures = (callback) => changed.addEventListener("change", callback);

function forgetComposite() {
  shown = null;
  element("composite").hidden = true;
  element("composite").removeAttribute("src");
  element("download").hidden = true;
  element("look").disabled = true;
  element("waiting").hidden = false;
  element("timing").textContent = "Made by the model";
  element("similarity").textContent = "";
}

function refresh() {
  const both = pictures.appearance !== null && pictures.structure !== null;
  const any = pictures.appearance !== null || pictures.structure !== null;
  element("go").disabled = !both || running;
  element("exchange").disabled = !any || running;
  element("swap").classList.toggle("busy", running);
  element("result").setAttribute("aria-busy", String(running));
  element("waiting").textContent = running
    ? "Working\u2026"
    : both ? "Press Swap" : "Choose two pictures";
}

function put(role, file, note, sample = null) {
  const drop = document.querySelector(`[data-role="${role}"]`);
  if (previews[role]) URL.revokeObjectURL(previews[role]);
  pictures[role] = file;
  sampleOf[role] = sample;
  previews[role] = file ? URL.createObjectURL(file) : null;
  const image = drop.querySelector("img");
  image.hidden = !file;
  if (file) {
    image.src = previews[role];
    image.alt = `${role} picture: ${file.name}`;
  } else {
    image.removeAttribute("src");
  }
  drop.querySelector(".hint").hidden = Boolean(file);
  document.querySelector(`[data-note="${role}"]`).textContent = note;
  markStrip(strip(role), sample);
  say(problemOf(role), "");
  say(element("problem"), "");
  forgetComposite();
  refresh();
  changed.dispatchEvent(new Event("change"));
}

/** A picture of the user's own; gives whether it could be taken. */
export function take(role, file) {
  last = role;
  return attempt(problemOf(role), async () => {
    const prepared = await prepare(file);
    put(role, prepared.file, prepared.note);
  });
}

async function takeSample(role, address) {
  last = role;
  await attempt(problemOf(role), async () => put(role, await sampleFile(address), "sample person", address));
}

/** Where a picture goes that was dropped or pasted anywhere: to the other role than the last. */
export const nextRole = () => ROLES.find((role) => pictures[role] === null)
  ?? ROLES.find((role) => role !== last);

/** A refusal at the picture that is at fault, in words; others at the form. */
function tell(error) {
  const at = ROLES.find((role) => error.detail?.startsWith(role));
  if (!at) {
    say(element("problem"), error.message);
    return;
  }
  say(problemOf(at), error.words ?? error.message);
  document.querySelector(`[data-role="${at}"] input`).focus();
}

async function swap() {
  const { appearance, structure } = pictures;
  const body = new FormData();
  body.append("appearance", appearance);
  body.append("structure", structure);
  const query = new URLSearchParams();
  if (element("resize").checked) query.set("resize", "structure");
  if (element("scene").value) query.set("scene", element("scene").value);
  const response = await request(`/v1/swaps?${query}`, {
    method: "POST",
    body,
    headers: { Accept: "image/png" },
  });
  const composite = await response.blob();
  const entry = remember({ composite, appearance, structure });
  shown = entry;
  element("composite").src = entry.urls.composite;
  element("composite").hidden = false;
  element("waiting").hidden = true;
  element("download").href = entry.urls.composite;
  element("download").download = entry.name;
  element("download").hidden = false;
  element("look").disabled = false;
  const gpu = /gpu;dur=([\d.]+)/.exec(response.headers.get("Server-Timing") || "");
  const version = response.headers.get("X-Model-Version");
  element("timing").textContent = gpu
    ? `${Number(gpu[1]).toFixed(0)} ms on the device`
    : "Made by the model";
  element("timing").title = `Model version ${version}`;
  measure(entry);
}

/** Afterwards, so that nobody waits for it; a composite is worth showing without. */
async function measure(entry) {
  let words;
  try {
    const [clothes, scene] = await similarities([entry.composite, entry.appearance, entry.structure]);
    words = `Similarity to the appearance ${clothes.toFixed(2)}, to the structure ${scene.toFixed(2)}`;
  } catch {
    words = "Similarity could not be measured.";
  }
  entry.similarity = words;
  if (shown === entry) element("similarity").textContent = words;
}

async function startSamples() {
  for (const role of ROLES) {
    const purpose = role === "appearance" ? "gives the clothes" : "gives pose and scene";
    await fillStrip(strip(role), purpose, (address) => takeSample(role, address));
  }
  const { pictures: addresses } = await samples();
  for (const role of ROLES) {
    const address = addresses[FIRST_SAMPLES[role]];
    if (address && pictures[role] === null) {
      const file = await sampleFile(address).catch(() => null);
      if (file && pictures[role] === null) put(role, file, "sample person", address);
    }
  }
}

export function startSwap() {
  element("scene").addEventListener("change", () => {
    if (running) return;
    forgetComposite(); // it is not what is asked for any more
    refresh();
  });
  element("swap").addEventListener("submit", async (event) => {
    event.preventDefault();
    if (running || element("go").disabled) return;
    say(element("problem"), "");
    for (const role of ROLES) say(problemOf(role), "");
    forgetComposite();
    running = true;
    refresh();
    try {
      await swap();
    } catch (error) {
      tell(error);
    } finally {
      running = false;
      refresh();
    }
  });
  element("exchange").addEventListener("click", () => {
    const { appearance, structure } = pictures;
    const notes = ROLES.map((role) => document.querySelector(`[data-note="${role}"]`).textContent);
    const from = { ...sampleOf };
    put("appearance", structure, notes[1], from.structure);
    put("structure", appearance, notes[0], from.appearance);
  });
  element("look").addEventListener("click", () => shown && look(shown));
  element("result").addEventListener("click", () => shown && look(shown));
  for (const drop of document.querySelectorAll("[data-role]")) {
    onFile(drop, (file) => take(drop.dataset.role, file));
  }
  refresh();
  startSamples();
}
