//! Chat templates: how a model was taught to be spoken to, in Jinja, as Python's
//! `apply_chat_template` renders them.

use minijinja::{
    Environment, Error, ErrorKind, context,
    syntax::SyntaxConfig,
    value::{Kwargs, Value},
};
use minijinja_contrib::pycompat::unknown_method_callback;
use serde::Deserialize;

use crate::text;

/// A template may take this many steps: one that never ends comes with a file, too.
const MAX_STEPS: u64 = 1_000_000;

/// The templates of one model.
#[derive(Clone, Debug, PartialEq)]
pub struct ChatTemplate {
    source: String,
    bos_token: String,
    eos_token: String,
}

/// Something that was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who said it.
    pub role: ChatRole,
    /// What.
    pub content: String,
}

/// Who speaks in a chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChatRole {
    /// Says beforehand how the model shall speak.
    System,
    /// Asks.
    User,
    /// Answers: the model.
    Assistant,
}

impl ChatRole {
    /// What templates call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// A chat that cannot be rendered.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ChatError {
    /// The model was never taught to chat, or its files do not say how.
    #[error(
        "the model has no chat template; expected one in tokenizer_config.json, chat_template.jinja or a GGUF file's metadata"
    )]
    NoTemplate,
    /// The file is not what its name says.
    #[error("tokenizer_config.json: {0}")]
    Config(String),
    /// The template is broken, or refuses these messages.
    #[error("the model's chat template: {0}")]
    Template(String),
}

/// `tokenizer_config.json`, as far as chats go.
#[derive(Deserialize)]
struct TokenizerConfig {
    chat_template: Option<Templates>,
    bos_token: Option<SpecialToken>,
    eos_token: Option<SpecialToken>,
}

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "chat_template: expected a text or a list of templates with names"
)]
enum Templates {
    One(String),
    Named(Vec<NamedTemplate>),
}

#[derive(Deserialize)]
struct NamedTemplate {
    name: String,
    template: String,
}

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "a token: expected a text or an object with its content"
)]
enum SpecialToken {
    Text(String),
    Added { content: String },
}

impl ChatTemplate {
    /// The template that a model's files hold: `chat_template.jinja`, or what
    /// `tokenizer_config.json` says; of several the one that is called `default`.
    ///
    /// # Errors
    /// If `tokenizer_config.json` is not what its name says.
    pub fn from_files(
        tokenizer_config_json: Option<&str>,
        chat_template_jinja: Option<&str>,
    ) -> Result<Option<Self>, ChatError> {
        let json = tokenizer_config_json.unwrap_or("{}");
        let config: TokenizerConfig = serde_json::from_str(&text::clean(json))
            .map_err(|error| ChatError::Config(error.to_string()))?;
        let of_config = match config.chat_template {
            None => None,
            Some(Templates::One(source)) => Some(source),
            Some(Templates::Named(all)) => {
                let mut all = all.into_iter();
                let default = all.find(|named| named.name == "default");
                default.map(|named| named.template)
            }
        };
        let source = chat_template_jinja.map(|source| text::clean(source).into_owned());
        let token = |token: Option<SpecialToken>| match token {
            None => String::new(),
            Some(SpecialToken::Text(content) | SpecialToken::Added { content }) => content,
        };
        Ok(source.or(of_config).map(|source| Self {
            source,
            bos_token: token(config.bos_token),
            eos_token: token(config.eos_token),
        }))
    }

    /// Whether the template has this text anywhere.
    pub fn mentions(&self, text: &str) -> bool {
        self.source.contains(text)
    }

    /// The chat as the model reads it, up to where its own turn begins.
    ///
    /// # Errors
    /// If the template is broken, does not end, or refuses the messages.
    pub fn render(&self, messages: &[Message]) -> Result<String, ChatError> {
        let wrong = |error: Error| ChatError::Template(error.to_string());
        let mut environment = Environment::new();
        // As Python's `transformers` sets Jinja up.
        let syntax = SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build()
            .map_err(wrong)?;
        environment.set_syntax(syntax);
        environment.set_unknown_method_callback(unknown_method_callback);
        environment.set_fuel(Some(MAX_STEPS));
        environment.add_function(
            "raise_exception",
            |message: String| -> Result<Value, Error> {
                Err(Error::new(ErrorKind::InvalidOperation, message))
            },
        );
        // There is no clock here, and a prompt shall be the same tomorrow.
        environment.add_function("strftime_now", |_format: String, _: Kwargs| DATE);
        let template = environment.template_from_str(&self.source).map_err(wrong)?;
        let said = messages.iter().map(|message| {
            let role = message.role.name();
            context! { role => role, content => message.content.as_str() }
        });
        let said: Vec<Value> = said.collect();
        let rendered = template.render(context! {
            messages => Value::from(&said[..]),
            add_generation_prompt => true,
            bos_token => self.bos_token.as_str(),
            eos_token => self.eos_token.as_str(),
        });
        rendered.map_err(wrong)
    }
}

/// What templates that ask for today's date are told: the one that Llama 3.1's template names
/// where nobody gives it one.
const DATE: &str = "26 Jul 2024";

#[cfg(test)]
mod tests {
    use super::*;

    fn user(content: &str) -> Message {
        Message {
            role: ChatRole::User,
            content: content.into(),
        }
    }

    fn template(source: &str) -> ChatTemplate {
        let config = serde_json::json!({
            "chat_template": source,
            "bos_token": {"content": "<s>", "lstrip": false},
            "eos_token": "</s>",
        });
        let found = ChatTemplate::from_files(Some(&config.to_string()), None);
        found.expect("a config").expect("with a template")
    }

    /// SmolLM2's own, and what `apply_chat_template` makes of it.
    #[test]
    fn a_template_renders_as_transformers_renders_it() {
        let source = "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";
        let rendered = template(source).render(&[user("2+2? {{ no }}")]);
        let expected = "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n<|im_start|>user\n2+2? {{ no }}<|im_end|>\n<|im_start|>assistant\n";
        assert_eq!(rendered.as_deref(), Ok(expected));
    }

    #[test]
    fn blocks_take_their_line_end_and_strings_have_pythons_methods() {
        let source = "{{ bos_token }}\n{%- for m in messages %}\n    {% if m.role == 'user' %}\n[{{ m.content.strip().split('</think>')[-1].lstrip('\\n') }}]\n    {% endif %}\n{% endfor %}\n";
        let rendered = template(source).render(&[user("  a</think>\nb ")]);
        assert_eq!(rendered.as_deref(), Ok("<s>[b]\n"));
    }

    #[test]
    fn what_a_template_refuses_and_what_never_ends_is_told() {
        let refuses = template("{{ raise_exception('roles must alternate') }}");
        let error = refuses.render(&[user("a")]).expect_err("it refuses");
        assert!(
            error.to_string().contains("roles must alternate"),
            "{error}"
        );
        let endless = template(
            "{% for a in range(100000) %}{% for b in range(100000) %}{{ b }}{% endfor %}{% endfor %}",
        );
        let error = endless.render(&[user("a")]).expect_err("it does not end");
        assert!(error.to_string().contains("fuel"), "{error}");
        template("{% if %}")
            .render(&[user("a")])
            .expect_err("no Jinja");
    }

    #[test]
    fn a_template_is_found_wherever_a_folder_keeps_it() {
        let several = r#"{"chat_template": [{"name": "tool_use", "template": "T"}, {"name": "default", "template": "D"}]}"#;
        let find = |config: Option<&str>, jinja: Option<&str>| {
            let found = ChatTemplate::from_files(config, jinja).expect("files");
            found.map(|template| template.render(&[]).expect("a text"))
        };
        assert_eq!(find(Some(several), None).as_deref(), Some("D"));
        assert_eq!(find(Some(several), Some("\u{feff}J")).as_deref(), Some("J"));
        assert_eq!(find(Some("{}"), None), None);
        assert_eq!(find(None, None), None);
        let error = ChatTemplate::from_files(Some(r#"{"chat_template": 3}"#), None);
        let error = error.expect_err("a number").to_string();
        assert!(
            error.contains("tokenizer_config.json") && error.contains("chat_template"),
            "{error}"
        );
    }
}
