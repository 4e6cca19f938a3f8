// The page's side of its service worker: registers it, has it keep what was loaded, offers updates.

let waiting = null;

/** Tells `onState` "kept", or why nothing is kept; tells `onUpdate` that another version waits. */
export async function keepOffline(onState, onUpdate) {
  if (!("serviceWorker" in navigator)) {
    onState("this browser keeps pages only that come over https or from this machine");
    return;
  }
  try {
    const registration = await navigator.serviceWorker.register("sw.js", { scope: "./" });
    const offer = () => {
      if (registration.waiting !== null && navigator.serviceWorker.controller !== null) {
        waiting = registration.waiting;
        onUpdate();
      }
    };
    offer();
    registration.addEventListener("updatefound", () => {
      registration.installing?.addEventListener("statechange", offer);
    });
    const { active } = await navigator.serviceWorker.ready;
    const loaded = performance.getEntriesByType("resource").map((entry) => entry.name);
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = (event) => onState(event.data ?? "kept");
    active.postMessage({ keep: loaded }, [port2]);
  } catch (error) {
    onState(error.message);
  }
}

/** Puts the version that waits in place of this one, and loads it. */
export function useUpdate() {
  navigator.serviceWorker.addEventListener("controllerchange", () => location.reload());
  waiting?.postMessage("take over");
}
