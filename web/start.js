// Starts the page's program, and where that fails says what stands in the way. A file of its own:
// a strict Content-Security-Policy refuses scripts inside the page.

const note = document.getElementById("arriving");

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
    return "This browser does not run WebAssembly: use a current Chrome, Edge, Firefox or Safari.";
  }
  try {
    new WebAssembly.Module(EMPTY_MODULE);
    return WebAssembly.validate(SIMD_MODULE)
      ? null
      : "This browser does not know WebAssembly's 128-bit instructions: use Chrome 91, Firefox 89, " +
          "Safari 16.4 or a later one.";
  } catch (error) {
    return (
      "The browser was told not to run WebAssembly. Most likely the host's " +
      "Content-Security-Policy lacks 'wasm-unsafe-eval' in its script-src. The browser says: " +
      error.message
    );
  }
}

/** What is wrong with a file of the page, or nothing. */
async function fault(url) {
  try {
    const answer = await fetch(url);
    if (!answer.ok) {
      return `${url} is missing: the host answered with status ${answer.status}.`;
    }
    if (answer.headers.get("content-type")?.startsWith("text/html")) {
      return `${url} is missing: the host answered with a page in its place.`;
    }
    return null;
  } catch (error) {
    return `${url} did not arrive: ${error.message}.`;
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
  const ofTotal = total > 0 ? ` of ${megabytes(total)}` : "";
  const pieces = [];
  let received = 0;
  for (const reader = answer.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) {
      return new Blob(pieces).arrayBuffer();
    }
    pieces.push(value);
    received += value.length;
    note.textContent = `Loading the playground's program: ${megabytes(received)}${ofTotal} …`;
  }
}

async function start() {
  note.textContent = "Loading the playground's program …";
  const script = announced("link[rel=modulepreload]");
  const program = announced("link[rel=preload][type='application/wasm']");
  try {
    const { default: init } = await import(script);
    await init({ module_or_path: await counted(program) });
  } catch (error) {
    note.textContent =
      (await fault(script)) ?? (await fault(program)) ?? `The program did not start: ${error.message}`;
  }
}

const reason = refusal();
if (reason === null) {
  await start();
} else {
  note.textContent = reason;
}
