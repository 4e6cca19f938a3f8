// Keeps the page for use without a network: its own files when it is first opened, and whatever
// checkpoints it has loaded. `cargo xtask dist` fills in the list; another list is another version.

const { version, files } = { version: "unpackaged", files: [] }; // PRECACHE

/** One cache a version and folder: other pages of this host have theirs. */
const PREFIX = `latent-playground ${registration.scope} `;
const CACHE = PREFIX + version;

addEventListener("install", (event) => {
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(files)));
});

addEventListener("activate", (event) => {
  event.waitUntil(
    (async () => {
      for (const name of await caches.keys()) {
        if (name.startsWith(PREFIX) && name !== CACHE) {
          await caches.delete(name);
        }
      }
      await clients.claim();
    })(),
  );
});

addEventListener("message", (event) => {
  if (event.data === "take over") {
    skipWaiting();
  } else if (Array.isArray(event.data?.keep)) {
    const port = event.ports[0];
    event.waitUntil(keep(event.data.keep).then((failure) => port?.postMessage(failure)));
  }
});

addEventListener("fetch", (event) => {
  if (event.request.method === "GET" && isKept(event.request.url)) {
    event.respondWith(answer(event.request));
  }
});

/** What is answered from here: all below this folder but parts of models, which the page keeps by
 * itself where the visitor can clear them. */
function isKept(url) {
  return url.startsWith(registration.scope) && !url.endsWith(".part");
}

/** Keeps what the page had loaded before anybody kept anything; says why it could not. */
async function keep(urls) {
  const cache = await caches.open(CACHE);
  try {
    for (const url of urls.filter(isKept)) {
      if ((await cache.match(url)) === undefined) {
        await put(cache, url, await fetch(url));
      }
    }
    return null;
  } catch (error) {
    return error.message;
  }
}

async function answer(request) {
  const cache = await caches.open(CACHE);
  const known = await cache.match(request);
  if (known !== undefined) {
    return known;
  }
  const found = await fetch(request);
  // What cannot be kept, where the browser's room is used up, is answered all the same.
  await put(cache, request, found.clone()).catch(() => {});
  return found;
}

/** A page in place of a missing file is the host's mistake, and is not kept. */
async function put(cache, request, found) {
  const isPage = found.headers.get("content-type")?.startsWith("text/html");
  if (found.status === 200 && !isPage) {
    await cache.put(request, found);
  }
}
