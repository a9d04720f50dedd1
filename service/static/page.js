// The page: swaps pictures, makes whole data sets. Uses the same API as any client.
import { getJson, onKeyChange, restoreKey } from "./page/api.js";
import { startCompare } from "./page/compare.js";
import { startDatasets } from "./page/datasets.js";
import { forModel } from "./page/estimate.js";
import { startHistory } from "./page/history.js";
import { startIncoming } from "./page/incoming.js";
import { startJobs } from "./page/jobs.js";
import { showModels } from "./page/models.js";
import { startServer } from "./page/server.js";
import { startSeveral } from "./page/several.js";
import { startSpec } from "./page/spec.js";
import { startSwap } from "./page/swap.js";
import { startViewer } from "./page/viewer.js";

restoreKey();
startViewer();
startHistory();
startSwap();
startSeveral();
const datasets = startDatasets((sets) => jobs.named(sets));
const jobs = startJobs((source) => datasets.chooseSource(source));
startSpec(jobs.add);
startCompare();
startIncoming(datasets.choose);

async function readModels() {
  await showModels();
  const { data } = await getJson("/v1/models").catch(() => ({ data: [] }));
  if (data.length) forModel(data[0].height, data[0].width);
}

startServer(readModels);
onKeyChange(() => {
  datasets.refresh();
  jobs.refresh();
  readModels();
});
