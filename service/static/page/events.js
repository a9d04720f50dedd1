// Server-sent events by fetch: EventSource cannot send an API key.
import { ApiError, getJson, request } from "./api.js";

const RETRY_MILLISECONDS = 2000;

/** `{event, id, data}` of each event in a stream of bytes; comments have no data. */
async function* eventsOf(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let event = {};
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      const lines = (rest + part.value).split(/\r?\n/);
      rest = lines.pop();
      for (const line of lines) {
        if (line === "") {
          if (event.data !== undefined) yield event;
          event = {};
        } else if (!line.startsWith(":")) {
          const [, name, value] = /^([^:]*):? ?(.*)$/.exec(line);
          event[name] = value; // the job is one line of data
        }
      }
    }
  } finally {
    reader.cancel().catch(() => {}); // whoever has heard enough lets the connection go
  }
}

const wait = (milliseconds, signal) => new Promise((resolve) => {
  const timer = setTimeout(resolve, milliseconds);
  signal.addEventListener("abort", () => {
    clearTimeout(timer);
    resolve();
  }, { once: true });
});

/**
 * Tells `onJob` whatever happens to a job, with the id of the event, until the server ends the
 * stream of a job that `isFinal` or `signal` aborts. The job alone would not do: it may have been
 * resumed after an end that the stream tells of. Streams that break are taken up after the last
 * event, `after`; what keeps them from it is told to `onTrouble`. Ends quietly where coming back
 * makes no sense: the job is gone, or a key is needed.
 */
export async function follow(job, { after, signal, isFinal, onJob, onTrouble }) {
  let lastId = after;
  while (!signal.aborted) {
    let retry = RETRY_MILLISECONDS;
    try {
      const headers = { Accept: "text/event-stream", ...(lastId && { "Last-Event-ID": lastId }) };
      const response = await request(job.links.events, { headers, signal });
      let now = null;
      for await (const event of eventsOf(response.body)) {
        now = JSON.parse(event.data);
        lastId = event.id;
        retry = Number(event.retry ?? retry);
        onJob(now, lastId);
      }
      if (now === null) { // nothing new, or the events of an ended job are forgotten
        now = await getJson(`/v1/jobs/${job.id}`, { signal });
        onJob(now, lastId);
      }
      if (isFinal(now)) return;
    } catch (error) {
      if (signal.aborted || error.status === 404 || error.status === 401) return;
      // A stream that breaks off while it is read is no ApiError: it is simply taken up again.
      if (error instanceof ApiError) onTrouble(error);
    }
    await wait(retry, signal);
  }
}
