// Short words for what every part of the page does with its elements.

export const element = (id) => document.getElementById(id);

/** A new element; `props` are its properties, children elements or text. */
export function make(tag, props = {}, ...children) {
  const made = Object.assign(document.createElement(tag), props);
  made.append(...children);
  return made;
}

/** Text of a problem or a status; empty text hides a problem. */
export function say(place, text) {
  place.textContent = text;
  if (/problem/.test(place.className)) place.hidden = !text;
}

/** Does something that can be refused, and says so at `place`; gives whether it succeeded. */
export async function attempt(place, action) {
  say(place, "");
  try {
    await action();
    return true;
  } catch (error) {
    say(place, error.message);
    return false;
  }
}

/** Files that are dropped on `place`, the label of a file input, or chosen by the input: `take` is
 * given the first, and all of them. */
export function onFile(place, take) {
  const input = place.querySelector("input");
  input.addEventListener("change", () => {
    const files = [...input.files];
    if (files.length) take(files[0], files);
    input.value = ""; // so that the same file can be chosen again
  });
  place.addEventListener("dragover", (event) => {
    event.preventDefault();
    place.classList.add("over");
  });
  place.addEventListener("dragleave", () => place.classList.remove("over"));
  place.addEventListener("drop", (event) => {
    event.preventDefault();
    place.classList.remove("over");
    const files = [...event.dataTransfer.files];
    if (files.length) take(files[0], files);
  });
}

/** Ask before something cannot be undone; Escape means no. */
export function confirmed(question, yes) {
  const dialog = element("confirm");
  element("confirm-question").textContent = question;
  element("confirm-yes").textContent = yes;
  dialog.returnValue = "";
  element("confirm-yes").onclick = () => dialog.close("yes");
  element("confirm-no").onclick = () => dialog.close();
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.onclose = () => resolve(dialog.returnValue === "yes");
  });
}
