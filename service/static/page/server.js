// Whether the server and a model are there; what is not is said at the top until it is back.
import { onUnreachable } from "./api.js";
import { element, say } from "./dom.js";

const LOOK_MILLISECONDS = 10_000;
const LOOK_AGAIN_MILLISECONDS = 3000; // while something is missing
const GONE = "The server does not answer. The page tries again by itself; nothing on it is lost.";

let timer = null;

/** What the model cannot do with the scene is not offered. */
function offerScenes(scenes) {
  for (const option of document.querySelectorAll("select.scene option")) {
    option.disabled = option.value !== "" && !scenes.includes(option.value);
  }
}

/** `onReady` is called whenever a model has become ready. */
export function startServer(onReady) {
  let wasReady = false;
  async function look() {
    clearTimeout(timer);
    const status = element("model");
    let ready = false;
    let words;
    try {
      const response = await fetch("/readyz");
      const body = await response.json();
      ready = response.ok;
      words = ready ? `Model \u201c${body.model}\u201d is ready.` : body.detail;
      if (ready) offerScenes(body.scenes);
      say(element("gone"), "");
    } catch {
      words = "The server cannot be reached.";
      if (element("gone").hidden) say(element("gone"), GONE);
    }
    if (status.textContent !== words) status.textContent = words;
    if (ready && !wasReady) onReady();
    wasReady = ready;
    timer = setTimeout(look, ready ? LOOK_MILLISECONDS : LOOK_AGAIN_MILLISECONDS);
  }
  onUnreachable(() => {
    clearTimeout(timer);
    timer = setTimeout(look, 0);
  });
  document.addEventListener("visibilitychange", () => document.hidden || look());
  look();
}
