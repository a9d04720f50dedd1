// Requests to the API, with the key if the server asks for one; whatever fails is an ApiError.
import { element } from "./dom.js";

const UNREACHABLE = "The server cannot be reached.";
const KEY_NEEDED = "This server asks for an API key: enter it at the top of the page.";

/** Kinds of problems that people meet with their own pictures, without what only programs read. */
const WORDS = {
  "not-a-picture": "This is no picture that the server reads: choose a JPEG, PNG or WebP.",
  "damaged-picture": "This picture is damaged or was cut off: choose another copy of it.",
  "animated-picture": "This picture moves: choose one that stands still.",
  "picture-dimensions": "This picture has too many pixels: choose a smaller one.",
  "picture-too-large": "This file is too large: choose a smaller picture.",
  "no-worker": "No model is ready yet: try again in a moment.",
};

/**
 * `message` is for people, `words` says the same of a known kind without numbers; `fields` are
 * `{field, message}` of a form that was refused, `detail` is the server's own.
 */
export class ApiError extends Error {
  constructor(message, { status = null, fields = [], detail = "", words = null } = {}) {
    super(message);
    this.status = status;
    this.fields = fields;
    this.detail = detail;
    this.words = words;
  }
}

const KEPT_KEY = "dgnet-key"; // until the tab is closed
const failed = new EventTarget();

export const hasKey = () => element("key").value.trim() !== "";
export const onUnreachable = (callback) => failed.addEventListener("failed", callback);

export function onKeyChange(callback) {
  element("key").addEventListener("change", () => {
    sessionStorage.setItem(KEPT_KEY, element("key").value.trim());
    callback();
  });
}

/** The key of this session, from before the page was loaded anew. */
export function restoreKey() {
  const kept = sessionStorage.getItem(KEPT_KEY);
  if (!kept) return;
  element("key").value = kept;
  element("key-row").hidden = false;
}

function authorization() {
  return hasKey() ? { Authorization: `Bearer ${element("key").value.trim()}` } : {};
}

function refusal(status, text, retryAfter) {
  if (status === 401) {
    element("key-row").hidden = false;
    return new ApiError(KEY_NEEDED, { status });
  }
  let problem;
  try {
    problem = JSON.parse(text);
  } catch {
    return new ApiError(`The server answered ${status}.`, { status }); // a proxy, say
  }
  const again = retryAfter ? ` Try again in ${retryAfter} s.` : "";
  // Other lists of errors name pictures, not fields.
  const fields = (problem.errors ?? []).filter((error) => error.field !== undefined);
  const kind = problem.type?.split(":").at(-1);
  const { detail } = problem;
  const words = WORDS[kind] ?? null;
  return new ApiError(`${problem.title}: ${detail}${again}`, { status, fields, detail, words });
}

/** A Response that is a success. An abort by `options.signal` is thrown as it is. */
export async function request(path, options = {}) {
  let response;
  try {
    response = await fetch(path, {
      ...options,
      headers: { ...options.headers, ...authorization() },
    });
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    failed.dispatchEvent(new Event("failed"));
    throw new ApiError(UNREACHABLE);
  }
  if (response.ok) return response;
  throw refusal(response.status, await response.text(), response.headers.get("Retry-After"));
}

export const getJson = async (path, options) => (await request(path, options)).json();

export function postJson(path, body, headers = {}) {
  return getJson(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
}

/**
 * POSTs a file of any size straight from the disk; `onProgress` is told the share that was sent,
 * which fetch cannot tell. Gives `{answer, stop}`, a promise of the JSON and a function.
 */
export function upload(path, file, onProgress) {
  const xhr = new XMLHttpRequest();
  xhr.open("POST", path);
  for (const [name, value] of Object.entries(authorization())) xhr.setRequestHeader(name, value);
  xhr.setRequestHeader("Content-Type", "application/octet-stream");
  xhr.upload.onprogress = (event) => onProgress(event.loaded / event.total);
  const answer = new Promise((resolve, reject) => {
    xhr.onload = () => {
      if (xhr.status < 300) resolve(JSON.parse(xhr.responseText));
      else reject(refusal(xhr.status, xhr.responseText, xhr.getResponseHeader("Retry-After")));
    };
    xhr.onerror = () => reject(new ApiError(`The upload broke off. ${UNREACHABLE}`));
    xhr.onabort = () => reject(new ApiError("The upload was stopped; nothing was kept."));
  });
  xhr.send(file);
  return { answer, stop: () => xhr.abort() };
}
