// The page: swaps two pictures, makes whole data sets. Uses the same API as any client.
import { onKeyChange } from "./page/api.js";
import { startDatasets } from "./page/datasets.js";
import { element } from "./page/dom.js";
import { startJobs } from "./page/jobs.js";
import { startSpec } from "./page/spec.js";
import { startSwap } from "./page/swap.js";

const MODEL_RETRY_MILLISECONDS = 3000;

/** What the model cannot do with the scene is not offered. */
function offerScenes(scenes) {
  for (const option of document.querySelectorAll("select.scene option")) {
    option.disabled = option.value !== "" && !scenes.includes(option.value);
  }
}

async function showModel() {
  const status = element("model");
  let ready = false;
  try {
    const response = await fetch("/readyz");
    const body = await response.json();
    ready = response.ok;
    status.textContent = ready ? `Model \u201c${body.model}\u201d is ready.` : body.detail;
    if (ready) offerScenes(body.scenes);
  } catch {
    status.textContent = "The server cannot be reached.";
  }
  if (!ready) setTimeout(showModel, MODEL_RETRY_MILLISECONDS);
}

showModel();
startSwap();
const datasets = startDatasets();
const jobs = startJobs();
startSpec(jobs.add);
onKeyChange(() => {
  datasets.refresh();
  jobs.refresh();
});
