// Models that visitors bring: the files that they pick or drop, and where those are kept.

/** One folder of the origin's private files for all models, or one cache. */
const FOLDER = "latent-models";
/** Written last: what has none was not kept to its end. */
const MANIFEST = "manifest.json";

/** Every file that was picked or dropped, those of folders too, each with its path. */
export async function gatheredFiles(event) {
  const picked = event.target?.files;
  if (picked instanceof FileList && picked.length > 0) {
    const files = Array.from(picked, (file) => ({ path: file.webkitRelativePath || file.name, file }));
    // The same file may be picked again.
    event.target.value = "";
    return files;
  }
  // The list is gone once this event is over.
  const items = Array.from(event.dataTransfer?.items ?? []);
  const entries = items.map((item) => item.webkitGetAsEntry?.()).filter((entry) => entry);
  if (entries.length === 0) {
    return Array.from(event.dataTransfer?.files ?? [], (file) => ({ path: file.name, file }));
  }
  const found = [];
  for (const entry of entries) {
    await collect(entry, found);
  }
  return found;
}

async function collect(entry, found) {
  if (entry.isFile) {
    const file = await new Promise((done, failed) => entry.file(done, failed));
    found.push({ path: entry.fullPath.replace(/^\//, ""), file });
    return;
  }
  const reader = entry.createReader();
  // A reader gives its entries in parts, the last of which is empty.
  for (;;) {
    const part = await new Promise((done, failed) => reader.readEntries(done, failed));
    if (part.length === 0) {
      return;
    }
    for (const inner of part) {
      await collect(inner, found);
    }
  }
}

export function sizeOf(file) {
  return file.size;
}

export function streamOf(file) {
  return file.stream();
}

export async function bytesOf(file) {
  return new Uint8Array(await file.arrayBuffer());
}

/** Where models are kept here: "opfs", "cache", or "" for nowhere. */
export async function keptIn() {
  try {
    await opfs();
    return "opfs";
  } catch {
    return typeof caches === "undefined" ? "" : "cache";
  }
}

async function opfs() {
  const root = await navigator.storage.getDirectory();
  const folder = await root.getDirectoryHandle(FOLDER, { create: true });
  if (!("createWritable" in FileSystemFileHandle.prototype)) {
    throw new Error("no file of it can be written here");
  }
  return folder;
}

/** The name of a file of a model in the cache. */
const cached = (model, file) => `./kept-model/${encodeURIComponent(model)}/${encodeURIComponent(file)}`;

/** What ends the lock of each model that this page is writing; other tabs see that it is held. */
const writing = new Map();
const lockOf = (model) => `${FOLDER}/${model}`;

/** Holds a model's lock until it is kept or given up, or until this tab is gone. */
async function lock(model) {
  if (writing.has(model) || navigator.locks === undefined) {
    return;
  }
  await new Promise((held, failed) => {
    const hold = () => new Promise((end) => held(writing.set(model, end)));
    navigator.locks.request(lockOf(model), hold).catch(failed);
  });
}

function unlock(model) {
  writing.get(model)?.();
  writing.delete(model);
}

/** The locks that tabs of this page hold. */
async function locks() {
  const { held = [] } = (await navigator.locks?.query()) ?? {};
  return held.map(({ name }) => name);
}

/**
 * The manifests of all models that are kept, as JSON texts; what was not kept to its end goes, save
 * what another tab is writing.
 */
export async function keptModels() {
  const found = [];
  if ((await keptIn()) === "opfs") {
    const folder = await opfs();
    const before = await locks();
    for await (const [name, model] of folder.entries()) {
      try {
        const file = await (await model.getFileHandle(MANIFEST)).getFile();
        found.push(await file.text());
      } catch {
        // Another tab may have ended, or begun, since either look.
        if (![...before, ...(await locks())].includes(lockOf(name))) {
          await folder.removeEntry(name, { recursive: true }).catch(() => {});
        }
      }
    }
  } else if ((await keptIn()) === "cache") {
    const cache = await caches.open(FOLDER);
    for (const request of await cache.keys()) {
      if (request.url.endsWith(`/${MANIFEST}`)) {
        found.push(await (await cache.match(request)).text());
      }
    }
  }
  return found;
}

/** A file of a model that is kept, as a stream. */
export async function keptStream(model, file) {
  if ((await keptIn()) === "opfs") {
    const folder = await (await opfs()).getDirectoryHandle(model);
    return (await (await folder.getFileHandle(file)).getFile()).stream();
  }
  const found = await (await caches.open(FOLDER)).match(cached(model, file));
  if (found === undefined) {
    throw new Error(`${file} is not kept any more`);
  }
  return found.body;
}

/** Forgets a model. */
export async function forgetModel(model) {
  unlock(model);
  if ((await keptIn()) === "opfs") {
    await (await opfs()).removeEntry(model, { recursive: true }).catch(() => {});
    return;
  }
  if (typeof caches !== "undefined") {
    const cache = await caches.open(FOLDER);
    const start = new URL(cached(model, ""), location.href).href;
    for (const request of await cache.keys()) {
      if (request.url.startsWith(start)) {
        await cache.delete(request);
      }
    }
  }
}

/** Bytes that the browser would still keep for this page; -1 where it does not say. */
export async function roomLeft() {
  const { quota, usage } = (await navigator.storage?.estimate?.()) ?? {};
  return quota === undefined ? -1 : quota - usage;
}

/** Begins to keep a file of a model, piece by piece. */
export async function beginFile(model, file) {
  await lock(model);
  if ((await keptIn()) === "opfs") {
    // Asked once a visit: without it the browser may forget what it keeps when room gets scarce.
    navigator.storage.persist?.().catch(() => {});
    const folder = await (await opfs()).getDirectoryHandle(model, { create: true });
    return (await folder.getFileHandle(file, { create: true })).createWritable();
  }
  const cache = await caches.open(FOLDER);
  const { readable, writable } = new TransformStream();
  const kept = cache.put(cached(model, file), new Response(readable));
  // Told by `close`, and by every write that it ends.
  kept.catch(() => {});
  const writer = writable.getWriter();
  return {
    write: (piece) => writer.write(piece),
    close: async () => {
      await writer.close();
      await kept;
    },
    abort: (reason) => writer.abort(reason),
  };
}

/** Keeps the next piece of a file. */
export async function writePiece(file, piece) {
  await file.write(piece);
}

/** Ends a file that is whole. */
export async function endFile(file) {
  await file.close();
}

/** Ends a file that will not be. */
export async function abortFile(file) {
  await file.abort("not wanted any more").catch(() => {});
}

/** Keeps the manifest, which makes a model's files one that is kept. */
export async function keepManifest(model, text) {
  const file = await beginFile(model, MANIFEST);
  await file.write(new TextEncoder().encode(text));
  await file.close();
  unlock(model);
}

const channel = new MessageChannel();
const waiting = [];
channel.port1.onmessage = () => waiting.shift()?.();

/** Lets the browser do whatever waits, drawing too, and comes back at once. */
export function breathe() {
  return new Promise((done) => {
    waiting.push(done);
    channel.port2.postMessage(null);
  });
}
