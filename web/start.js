// Starts the page's program, and where that fails says what stands in the way. A file of its own:
// a strict Content-Security-Policy refuses scripts inside the page.

const note = document.getElementById("arriving");

/** What is said before the program has come, which has a table of its own. */
const TEXTS = {
  en: {
    loading: "Loading the playground's program{of} …",
    total: "of",
    noWasm: "This browser does not run WebAssembly: use a current Chrome, Edge, Firefox or Safari.",
    noSimd: "This browser does not know WebAssembly's 128-bit instructions: use Chrome 91, Firefox 89, Safari 16.4 or a later one.",
    refused: "The browser was told not to run WebAssembly. Most likely the host's Content-Security-Policy lacks 'wasm-unsafe-eval' in its script-src. The browser says: {error}",
    status: "{url} is missing: the host answered with status {status}.",
    page: "{url} is missing: the host answered with a page in its place.",
    network: "{url} did not arrive: {error}.",
    failed: "The program did not start: {error}",
  },
  de: {
    loading: "Lädt das Programm der Seite{of} …",
    total: "von",
    noWasm: "Dieser Browser führt kein WebAssembly aus: ein aktueller Chrome, Edge, Firefox oder Safari kann es.",
    noSimd: "Dieser Browser kennt die 128-Bit-Befehle von WebAssembly nicht: Chrome 91, Firefox 89, Safari 16.4 oder ein neuerer kennt sie.",
    refused: "Dem Browser wurde untersagt, WebAssembly auszuführen. Wahrscheinlich fehlt der Content-Security-Policy des Servers 'wasm-unsafe-eval' in script-src. Der Browser sagt: {error}",
    status: "{url} fehlt: der Server antwortete mit Status {status}.",
    page: "{url} fehlt: der Server antwortete mit einer Seite an seiner Stelle.",
    network: "{url} kam nicht an: {error}.",
    failed: "Das Programm ist nicht gestartet: {error}",
  },
};

/** The language that somebody chose on this page before, if the browser keeps anything for it. */
function chosen() {
  try {
    return JSON.parse(localStorage.getItem("latent-playground.language"));
  } catch {
    return null;
  }
}

// The visitor's own language, which the program goes by; an address may ask for another one.
const own = /^de\b/.test(chosen() ?? navigator.language) ? "de" : "en";
document.documentElement.lang = own;
note.lang = /[#&]lang=(en|de)/.exec(location.hash)?.[1] ?? own;

/** A text with its places filled. */
function text(name, values = {}) {
  return TEXTS[note.lang][name].replace(/\{(\w+)\}/g, (_, place) => values[place]);
}

/** The file that a link in the page's head announces: trunk writes its name there. */
function announced(selector) {
  return document.head.querySelector(selector).href;
}

/** The eight bytes of a module without contents. */
const EMPTY_MODULE = new Uint8Array([0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]);

/** A module of one function that makes 128 bits of one number, as the page's program does. */
const SIMD_MODULE = new Uint8Array([
  ...EMPTY_MODULE, 1, 5, 1, 0x60, 0, 1, 0x7b, 3, 2, 1, 0, 10, 10, 1, 8, 0, 0x41, 0, 0xfd, 0x0f,
  0xfd, 0x62, 0x0b,
]);

/** Why no program can run here, or nothing. */
function refusal() {
  if (typeof WebAssembly !== "object") {
    return text("noWasm");
  }
  try {
    new WebAssembly.Module(EMPTY_MODULE);
    return WebAssembly.validate(SIMD_MODULE) ? null : text("noSimd");
  } catch (error) {
    return text("refused", { error: error.message });
  }
}

/** What is wrong with a file of the page, or nothing. */
async function fault(url) {
  try {
    const answer = await fetch(url);
    if (!answer.ok) {
      return text("status", { url, status: answer.status });
    }
    if (answer.headers.get("content-type")?.startsWith("text/html")) {
      return text("page", { url });
    }
    return null;
  } catch (error) {
    return text("network", { url, error: error.message });
  }
}

/** The bytes of a file, whose coming is told. Read by hand: a stream that nothing but WebAssembly
 * holds on to was now and then never read to its end. */
async function counted(url) {
  const answer = await fetch(url);
  if (!answer.ok || answer.body === null) {
    throw new Error(`status ${answer.status}`);
  }
  // The length of a compressed answer is another one.
  const isPlain = answer.headers.get("content-encoding") === null;
  const total = isPlain ? Number(answer.headers.get("content-length")) : 0;
  const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;
  const ofTotal = total > 0 ? ` ${text("total")} ${megabytes(total)}` : "";
  const pieces = [];
  let received = 0;
  for (const reader = answer.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) {
      return new Blob(pieces).arrayBuffer();
    }
    pieces.push(value);
    received += value.length;
    note.textContent = text("loading", { of: `: ${megabytes(received)}${ofTotal}` });
  }
}

async function start() {
  note.textContent = text("loading", { of: "" });
  const script = announced("link[rel=modulepreload]");
  const program = announced("link[rel=preload][type='application/wasm']");
  try {
    const { default: init } = await import(script);
    await init({ module_or_path: await counted(program) });
  } catch (error) {
    note.textContent =
      (await fault(script)) ?? (await fault(program)) ?? text("failed", { error: error.message });
  }
}

const reason = refusal();
if (reason === null) {
  await start();
} else {
  note.textContent = reason;
}
