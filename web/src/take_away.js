// Files that a visitor takes away: texts, and drawings of the page as SVG and PNG.

/** What a drawing needs of its style where the page's style sheet is not. */
const LOOKS = [
  "fill", "fill-opacity", "stroke", "stroke-opacity", "stroke-width", "stroke-dasharray", "opacity",
  "font-family", "font-size", "font-weight", "text-anchor", "dominant-baseline", "display",
];

/** Offers a file for download. */
function offer(name, blob) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // The browser has taken it by the time that this runs.
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** Offers a text as a file. */
export function offerText(name, type, text) {
  offer(name, new Blob([text], { type }));
}

/** A drawing of the page on its own: its looks are part of it, and its ground is the page's. */
export function svgText(testid) {
  const drawing = document.querySelector(`svg[data-testid="${testid}"]`);
  if (drawing === null) {
    return "";
  }
  const copy = drawing.cloneNode(true);
  const originals = [drawing, ...drawing.querySelectorAll("*")];
  const copies = [copy, ...copy.querySelectorAll("*")];
  originals.forEach((original, index) => {
    const style = getComputedStyle(original);
    for (const property of LOOKS) {
      const value = style.getPropertyValue(property);
      // A pattern of the drawing keeps its short name: computed, it is an address of this page.
      if (!value.startsWith("url(")) {
        copies[index].setAttribute(property, value);
      }
    }
    for (const name of ["class", "data-testid", "data-lane-colour"]) {
      copies[index].removeAttribute(name);
    }
  });
  const { width, height } = drawing.viewBox.baseVal;
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  copy.setAttribute("width", width);
  copy.setAttribute("height", height);
  const ground = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  ground.setAttribute("width", width);
  ground.setAttribute("height", height);
  ground.setAttribute("fill", getComputedStyle(drawing.closest(".panel")).backgroundColor);
  copy.prepend(ground);
  return new XMLSerializer().serializeToString(copy);
}

/** Offers a drawing as a PNG, twice as large as it is. */
export async function offerPng(name, svg) {
  const image = new Image();
  image.src = URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" }));
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = 2 * image.width;
  canvas.height = 2 * image.height;
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  URL.revokeObjectURL(image.src);
  const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
  offer(name, blob);
}

/** Offers bytes as a file. */
export function offerBytes(name, bytes) {
  offer(name, new Blob([bytes], { type: "application/octet-stream" }));
}

/** The bytes of the file that was picked in an input, or dropped on the page. */
export async function pickedBytes(event) {
  const file = event.target?.files?.[0] ?? event.dataTransfer?.files?.[0];
  return file === undefined ? null : new Uint8Array(await file.arrayBuffer());
}

/** SHA-256 of a file of the site, in hexadecimal digits. */
export async function fileDigest(url) {
  try {
    const answer = await fetch(url);
    return answer.ok ? await digestOf([answer.body]) : null;
  } catch {
    return null;
  }
}

/** SHA-256 of what several streams hold one after the other, in hexadecimal digits. */
export async function digestOf(streams) {
  try {
    const parts = await Promise.all(streams.map((stream) => new Response(stream).blob()));
    const bytes = await new Blob(parts).arrayBuffer();
    const digest = await crypto.subtle.digest("SHA-256", bytes);
    return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
  } catch {
    return null;
  }
}
