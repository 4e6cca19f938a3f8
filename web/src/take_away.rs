//! Files that a visitor takes away, and the frame that shows this page in another one.

use wasm_bindgen::{JsCast, prelude::*};

#[wasm_bindgen(module = "/src/take_away.js")]
extern "C" {
    /// Offers a text as a file of this name and type.
    #[wasm_bindgen(js_name = offerText)]
    pub fn offer_text(name: &str, media_type: &str, text: &str);

    /// The drawing with this `data-testid` as an SVG file; empty where there is none.
    #[wasm_bindgen(js_name = svgText)]
    pub fn svg_text(testid: &str) -> String;

    /// Offers bytes as a file of this name.
    #[wasm_bindgen(js_name = offerBytes)]
    pub fn offer_bytes(name: &str, bytes: &[u8]);

    #[wasm_bindgen(js_name = pickedBytes)]
    async fn picked_bytes_js(event: &web_sys::Event) -> JsValue;

    #[wasm_bindgen(js_name = fileDigest)]
    async fn file_digest_js(url: &str) -> JsValue;

    #[wasm_bindgen(js_name = digestOf)]
    async fn digest_of_js(streams: &js_sys::Array) -> JsValue;

    /// Offers an SVG file as a PNG.
    #[wasm_bindgen(js_name = offerPng, catch)]
    pub async fn offer_png(name: &str, svg: &str) -> Result<(), JsValue>;
}

/// The bytes of the file that somebody picked or dropped; `None` where there is none.
pub async fn picked_bytes(event: &web_sys::Event) -> Option<Vec<u8>> {
    let bytes = picked_bytes_js(event).await;
    let bytes: js_sys::Uint8Array = bytes.dyn_into().ok()?;
    Some(bytes.to_vec())
}

/// SHA-256 of a file of the site in hexadecimal digits; `None` where the browser computes none,
/// as on a page that came over plain http.
pub async fn file_digest(url: &str) -> Option<String> {
    file_digest_js(url).await.as_string()
}

/// The same of what several streams hold one after the other.
pub async fn streams_digest(streams: Vec<JsValue>) -> Option<String> {
    let streams = streams.into_iter().collect();
    digest_of_js(&streams).await.as_string()
}

/// HTML that shows a set-up in a frame of another page; `page` is this page's address without its
/// hash.
pub fn frame(page: &str, hash: &str) -> String {
    let embed = match hash.contains("embed=yes") {
        true => "",
        false => "&embed=yes",
    };
    let source = format!("{page}#{hash}{embed}").replace('&', "&amp;");
    format!(
        "<iframe src=\"{source}\" title=\"Latent Playground\" width=\"100%\" height=\"900\" \
         style=\"border:0\"></iframe>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_opens_the_set_up_without_its_controls() {
        let html = frame("https://host/a/", "problem=class:4&seed=1");
        let source = "src=\"https://host/a/#problem=class:4&amp;seed=1&amp;embed=yes\"";
        assert!(html.contains(source), "{html}");
        let twice = frame("https://host/", "embed=yes");
        assert_eq!(twice.matches("embed=yes").count(), 1, "{twice}");
    }
}
