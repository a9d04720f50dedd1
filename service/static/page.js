// Sends two pictures to POST /v1/swaps and shows the composite. Uses the same API as any client.
"use strict";

const element = (id) => document.getElementById(id);
const form = element("swap");
const pictures = { appearance: null, structure: null };
const previews = { appearance: null, structure: null };
let compositeUrl = null;
let running = null;

function showProblem(text) {
  element("problem").textContent = text;
  element("problem").hidden = !text;
}

function forgetComposite() {
  if (compositeUrl) URL.revokeObjectURL(compositeUrl);
  compositeUrl = null;
  element("composite").hidden = true;
  element("download").hidden = true;
  element("waiting").hidden = false;
  element("timing").textContent = "Made by the model";
}

function refresh() {
  const both = pictures.appearance !== null && pictures.structure !== null;
  const any = pictures.appearance !== null || pictures.structure !== null;
  element("go").disabled = !both || running !== null;
  element("exchange").disabled = !any || running !== null;
  form.classList.toggle("busy", running !== null);
  element("result").setAttribute("aria-busy", String(running !== null));
  element("waiting").textContent = running
    ? "Working\u2026"
    : both ? "Press Swap" : "Choose two pictures";
}

function choose(role, file) {
  const drop = document.querySelector(`[data-role="${role}"]`);
  if (previews[role]) URL.revokeObjectURL(previews[role]);
  pictures[role] = file;
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
  showProblem("");
  forgetComposite();
  refresh();
}

async function describe(response) {
  try {
    const problem = await response.json();
    const again = response.headers.get("Retry-After");
    const when = again ? ` Try again in ${again} s.` : "";
    return `${problem.title}: ${problem.detail}${when}`;
  } catch {
    return `The server answered ${response.status}.`;
  }
}

function authorization() {
  const key = element("key").value.trim();
  return key ? { Authorization: `Bearer ${key}` } : {};
}

async function swap() {
  const body = new FormData();
  body.append("appearance", pictures.appearance);
  body.append("structure", pictures.structure);
  const query = element("resize").checked ? "?resize=structure" : "";
  const response = await fetch(`/v1/swaps${query}`, {
    method: "POST",
    body,
    headers: { Accept: "image/png", ...authorization() },
  });
  if (response.status === 401) element("key-row").hidden = false;
  if (!response.ok) throw new Error(await describe(response));
  compositeUrl = URL.createObjectURL(await response.blob());
  element("composite").src = compositeUrl;
  element("composite").hidden = false;
  element("waiting").hidden = true;
  element("download").href = compositeUrl;
  element("download").hidden = false;
  const gpu = /gpu;dur=([\d.]+)/.exec(response.headers.get("Server-Timing") || "");
  const version = response.headers.get("X-Model-Version");
  element("timing").textContent = gpu
    ? `${Number(gpu[1]).toFixed(0)} ms on the device`
    : "Made by the model";
  element("timing").title = `Model version ${version}`;
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (running || element("go").disabled) return;
  showProblem("");
  forgetComposite();
  running = true;
  refresh();
  try {
    await swap();
  } catch (error) {
    showProblem(error instanceof TypeError ? "The server cannot be reached." : error.message);
  } finally {
    running = null;
    refresh();
  }
});

element("exchange").addEventListener("click", () => {
  const { appearance, structure } = pictures;
  choose("appearance", structure);
  choose("structure", appearance);
});

for (const drop of document.querySelectorAll("[data-role]")) {
  const role = drop.dataset.role;
  const input = drop.querySelector("input");
  input.addEventListener("change", () => {
    if (input.files.length) choose(role, input.files[0]);
    input.value = "";
  });
  drop.addEventListener("dragover", (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    if (event.dataTransfer.files.length) choose(role, event.dataTransfer.files[0]);
  });
}

async function showModel() {
  const status = element("model");
  try {
    const response = await fetch("/readyz");
    const body = await response.json();
    status.textContent = response.ok ? `Model \u201c${body.model}\u201d is ready.` : body.detail;
    if (!response.ok) setTimeout(showModel, 3000);
  } catch {
    status.textContent = "The server cannot be reached.";
    setTimeout(showModel, 3000);
  }
}

showModel();
refresh();
