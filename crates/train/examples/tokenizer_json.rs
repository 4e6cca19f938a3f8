//! Prints the ProsQA `tokenizer.json`.
fn main() {
    println!("{:#}", latent_train::tokenizer_json::tokenizer_json());
}
