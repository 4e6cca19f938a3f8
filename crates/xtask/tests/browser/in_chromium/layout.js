// What is wrong with the page's layout in this window, a sentence each.

const TOLERANCE = 0.5;
const LEAST_SIDE = 24;

const faults = [];
const root = document.documentElement;
const name = (element) =>
  element.dataset.testid ??
  `${element.tagName.toLowerCase()} "${(element.ariaLabel ?? element.textContent).trim().slice(0, 30)}"`;
const size = (box) => `${box.width.toFixed(0)} × ${box.height.toFixed(0)}`;

// What is seen of an element: its box, cut where a part of the page scrolls or hides the rest.
function seen(element) {
  let { left, top, right, bottom } = element.getBoundingClientRect();
  for (let outer = element.parentElement; outer && outer !== document.body; outer = outer.parentElement) {
    if (getComputedStyle(outer).overflow === "visible") continue;
    const box = outer.getBoundingClientRect();
    [left, top] = [Math.max(left, box.left), Math.max(top, box.top)];
    [right, bottom] = [Math.min(right, box.right), Math.min(bottom, box.bottom)];
  }
  return { left, top, right, bottom, width: right - left, height: bottom - top };
}

function isShown(element) {
  const box = seen(element);
  const isThere = element.checkVisibility({ visibilityProperty: true }) && box.width > 1 && box.height > 1;
  return isThere && !element.closest(".visually-hidden");
}

window.scrollTo(0, 0);
if (root.scrollWidth > root.clientWidth) {
  faults.push(`the page is ${root.scrollWidth} px wide, the window ${root.clientWidth}`);
}

const controls = [...document.querySelectorAll("button, select, summary, textarea, input")].filter(isShown);
for (const control of controls) {
  // A label around a small box is pressed in its place.
  const pressed = control.type === "checkbox" ? control.closest("label") : control;
  const box = pressed.getBoundingClientRect();
  if (box.width < LEAST_SIDE - TOLERANCE || box.height < LEAST_SIDE - TOLERANCE) {
    faults.push(`${name(control)} is ${size(box)} px large, expected at least ${LEAST_SIDE}`);
  }
}

const panels = [...document.querySelectorAll("header, main, .panel, .lane, .message")].filter(isShown);
for (const panel of panels) {
  if (panel.scrollWidth > panel.clientWidth + 1) {
    faults.push(`${name(panel)} is ${panel.clientWidth} px wide, what is in it ${panel.scrollWidth}`);
  }
}

// A sheet comes up over what it is about, on purpose: only what lies in one layer must not overlap.
function layer(element) {
  for (let outer = element; outer; outer = outer.parentElement) {
    if (getComputedStyle(outer).position === "fixed") return outer;
  }
  return null;
}

const named = [...document.querySelectorAll("[data-testid]")].filter(isShown);
const all = [...new Set([...named, ...controls, ...panels])];
const boxes = all.map(seen);
const layers = all.map(layer);
all.forEach((a, index) => {
  for (let other = index + 1; other < all.length; other++) {
    const b = all[other];
    if (a.contains(b) || b.contains(a) || layers[index] !== layers[other]) continue;
    const width = Math.min(boxes[index].right, boxes[other].right) - Math.max(boxes[index].left, boxes[other].left);
    const height = Math.min(boxes[index].bottom, boxes[other].bottom) - Math.max(boxes[index].top, boxes[other].top);
    if (width > TOLERANCE && height > TOLERANCE) {
      faults.push(`${name(a)} and ${name(b)} lie over each other by ${size({ width, height })} px`);
    }
  }
});
// A name stays inside its box.
for (const node of document.querySelectorAll(".node")) {
  const text = node.querySelector(".name").getBBox();
  const pill = node.querySelector(".pill").getBBox();
  if (text.width > pill.width - 6) {
    faults.push(`the name ${node.textContent} is ${text.width.toFixed(0)} wide, its box ${pill.width}`);
  }
}
return faults;
