// Sends two pictures to POST /v1/swaps and shows the composite.
import { request } from "./api.js";
import { element, onFile, say } from "./dom.js";

const pictures = { appearance: null, structure: null };
const previews = { appearance: null, structure: null };
let compositeUrl = null;
let running = false;

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
  element("go").disabled = !both || running;
  element("exchange").disabled = !any || running;
  element("swap").classList.toggle("busy", running);
  element("result").setAttribute("aria-busy", String(running));
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
  say(element("problem"), "");
  forgetComposite();
  refresh();
}

async function swap() {
  const body = new FormData();
  body.append("appearance", pictures.appearance);
  body.append("structure", pictures.structure);
  const query = new URLSearchParams();
  if (element("resize").checked) query.set("resize", "structure");
  if (element("scene").value) query.set("scene", element("scene").value);
  const response = await request(`/v1/swaps?${query}`, {
    method: "POST",
    body,
    headers: { Accept: "image/png" },
  });
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
    forgetComposite();
    running = true;
    refresh();
    try {
      await swap();
    } catch (error) {
      say(element("problem"), error.message);
    } finally {
      running = false;
      refresh();
    }
  });
  element("exchange").addEventListener("click", () => {
    const { appearance, structure } = pictures;
    choose("appearance", structure);
    choose("structure", appearance);
  });
  for (const drop of document.querySelectorAll("[data-role]")) {
    onFile(drop, (file) => choose(drop.dataset.role, file));
  }
  refresh();
}
