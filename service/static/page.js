// The page: swaps two pictures, makes whole data sets. Uses the same API as any client.
import { onKeyChange } from "./page/api.js";
import { startDatasets } from "./page/datasets.js";
import { element } from "./page/dom.js";
import { startJobs } from "./page/jobs.js";
import { startSpec } from "./page/spec.js";
import { startSwap } from "./page/swap.js";

const MODEL_RETRY_MILLISECONDS = 3000;

async function showModel() {
  const status = element("model");
  let ready = false;
  try {
    const response = await fetch("/readyz");
    const body = await response.json();
    ready = response.ok;
    status.textContent = ready ? `Model \u201c${body.model}\u201d is ready.` : body.detail;
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
