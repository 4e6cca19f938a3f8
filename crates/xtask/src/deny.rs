//! `cargo xtask test --only deny`: the licences, bans and sources of `deny.toml`, checked on what
//! cargo says of the lock files, the workspace's and the fuzz targets'.
//!
//! They are checked here rather than by cargo-deny so that they run wherever cargo does: a fresh
//! machine would compile cargo-deny for minutes, or take a binary from a release page. Where
//! cargo-deny is installed it is asked about advisories, whose database has to be fetched; where it
//! is not, or has no network, the check says that it was not made.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::workspace;

/// What `deny.toml` allows.
struct Policy {
    licenses: Vec<String>,
    /// Licences of crates whose manifest names none.
    clarified: BTreeMap<String, String>,
    banned: BTreeMap<String, String>,
    registries: Vec<String>,
}

/// A crate of the lock file.
struct Package<'a> {
    name: &'a str,
    version: &'a str,
    license: Option<&'a str>,
    source: Option<&'a str>,
    /// What it takes of others in whatever version there is.
    wildcards: Vec<&'a str>,
}

/// Checks everything that can be checked here; an error names every crate that may not be.
pub fn run() -> Result<()> {
    let text = fs::read_to_string(workspace::root().join("deny.toml"))?;
    let policy = Policy::read(&text).context("deny.toml")?;
    for manifest in MANIFESTS {
        let metadata = metadata(manifest)?;
        let packages = packages(&metadata)?;
        let faults: Vec<String> = packages
            .iter()
            .flat_map(|package| policy.faults(package))
            .collect();
        ensure!(faults.is_empty(), "{}", faults.join("\n"));
        println!(
            "{} crates of {manifest}: licences, bans and sources are as deny.toml allows",
            packages.len()
        );
    }
    advisories()
}

/// What has a lock file.
const MANIFESTS: [&str; 2] = ["Cargo.toml", "fuzz/Cargo.toml"];

/// What cargo says of a lock file.
fn metadata(manifest: &str) -> Result<Value> {
    let format = ["metadata", "--format-version", "1", "--locked"];
    let output = workspace::cargo()
        .args(format)
        .args(["--all-features", "--manifest-path", manifest])
        .output()?;
    ensure!(
        output.status.success(),
        "cargo metadata failed on {manifest}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Asks cargo-deny, where it is.
fn advisories() -> Result<()> {
    if workspace::find_program("cargo-deny").is_none() {
        println!("advisories: NOT CHECKED, cargo-deny is not installed");
        return Ok(());
    }
    let fetched = workspace::cargo().args(["deny", "fetch", "db"]).status()?;
    if !fetched.success() {
        println!("advisories: NOT CHECKED, their database cannot be fetched");
        return Ok(());
    }
    let checked = workspace::cargo()
        .args(["deny", "check", "--disable-fetch", "advisories"])
        .status()?;
    ensure!(checked.success(), "an advisory concerns a crate");
    Ok(())
}

fn packages(metadata: &Value) -> Result<Vec<Package<'_>>> {
    let list = metadata["packages"].as_array();
    let list = list.context("cargo metadata names no packages")?;
    let read: Option<Vec<Package<'_>>> = list.iter().map(Package::read).collect();
    read.context("a package without a name or a version")
}

/// The dependencies of a crate that may have any version, those that lie beside it left out.
fn wildcards(package: &Value) -> Vec<&str> {
    let dependencies = package["dependencies"].as_array();
    let is_any = |dependency: &&Value| dependency["req"] == "*" && dependency["path"].is_null();
    let any = dependencies.into_iter().flatten().filter(is_any);
    any.filter_map(|dependency| dependency["name"].as_str())
        .collect()
}

impl<'a> Package<'a> {
    fn read(value: &'a Value) -> Option<Self> {
        Some(Self {
            name: value["name"].as_str()?,
            version: value["version"].as_str()?,
            license: value["license"].as_str(),
            source: value["source"].as_str(),
            wildcards: wildcards(value),
        })
    }
}

impl Policy {
    fn read(text: &str) -> Result<Self> {
        let table: toml::Table = toml::from_str(text)?;
        let part = |table: &toml::Table, key: &str| {
            let found = table.get(key).and_then(toml::Value::as_table).cloned();
            found.with_context(|| format!("expected a table [{key}]"))
        };
        let list = |table: &toml::Table, key: &str| {
            let found = table.get(key).and_then(toml::Value::as_array).cloned();
            found.with_context(|| format!("expected a list {key}"))
        };
        let words = |values: Vec<toml::Value>| -> Result<Vec<String>> {
            let word = |value: toml::Value| value.as_str().map(Into::into);
            let words: Option<Vec<String>> = values.into_iter().map(word).collect();
            words.context("expected texts")
        };
        let pairs = |values: Vec<toml::Value>, key: &str| -> Result<BTreeMap<String, String>> {
            let text = |value: &toml::Value, key: &str| Some(value.get(key)?.as_str()?.to_owned());
            let pair = |value: &toml::Value| Some((text(value, "crate")?, text(value, key)?));
            let pairs: Option<BTreeMap<_, _>> = values.iter().map(pair).collect();
            pairs.with_context(|| format!("expected tables with `crate` and `{key}`"))
        };
        let (licenses, bans) = (part(&table, "licenses")?, part(&table, "bans")?);
        Ok(Self {
            licenses: words(list(&licenses, "allow")?)?,
            clarified: pairs(list(&licenses, "clarify")?, "expression")?,
            banned: pairs(list(&bans, "deny")?, "reason")?,
            registries: words(list(&part(&table, "sources")?, "allow-registry")?)?,
        })
    }

    /// What speaks against a crate, each in a sentence.
    fn faults(&self, package: &Package<'_>) -> Vec<String> {
        // The workspace's own, in which nothing may have any version.
        let Some(source) = package.source else {
            let fault = |other| format!("{} takes any version of {other}", package.name);
            return package.wildcards.iter().map(fault).collect();
        };
        let name = format!("{} {}", package.name, package.version);
        let mut faults = Vec::new();
        let registry = source.strip_prefix("registry+").unwrap_or(source);
        if !self.registries.iter().any(|known| known == registry) {
            faults.push(format!("{name} comes from {source}"));
        }
        if let Some(reason) = self.banned.get(package.name) {
            faults.push(format!("{name} is banned: {reason}"));
        }
        let clarified = self.clarified.get(package.name).map(String::as_str);
        match package.license.or(clarified) {
            None => faults.push(format!("{name} names no licence")),
            Some(license) => match self.allows(license) {
                Ok(true) => {}
                Ok(false) => faults.push(format!("{name} is under {license}")),
                Err(error) => faults.push(format!("{name}: {license:?}: {error}")),
            },
        }
        faults
    }

    /// Whether an SPDX expression can be met; `/` is the old `OR`.
    fn allows(&self, expression: &str) -> Result<bool> {
        let spaced = expression
            .replace('/', " OR ")
            .replace('(', " ( ")
            .replace(')', " ) ");
        let mut words: Vec<&str> = spaced.split_whitespace().rev().collect();
        let allowed = self.any_of(&mut words)?;
        ensure!(words.is_empty(), "expected its end, found {words:?}");
        Ok(allowed)
    }

    fn any_of(&self, words: &mut Vec<&str>) -> Result<bool> {
        let mut allowed = self.all_of(words)?;
        while words.pop_if(|word| *word == "OR").is_some() {
            allowed |= self.all_of(words)?;
        }
        Ok(allowed)
    }

    fn all_of(&self, words: &mut Vec<&str>) -> Result<bool> {
        let mut allowed = self.one(words)?;
        while words.pop_if(|word| *word == "AND").is_some() {
            allowed &= self.one(words)?;
        }
        Ok(allowed)
    }

    fn one(&self, words: &mut Vec<&str>) -> Result<bool> {
        match words.pop() {
            Some("(") => {
                let allowed = self.any_of(words)?;
                ensure!(words.pop() == Some(")"), "expected a closing parenthesis");
                Ok(allowed)
            }
            Some(id) if !matches!(id, ")" | "OR" | "AND" | "WITH") => {
                let mut license = id.to_owned();
                if words.pop_if(|word| *word == "WITH").is_some() {
                    let exception = words.pop().context("expected an exception")?;
                    license = format!("{id} WITH {exception}");
                }
                Ok(self.licenses.contains(&license))
            }
            found => bail!("expected a licence, found {found:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> Policy {
        Policy::read(
            r#"
            [licenses]
            allow = ["MIT", "Apache-2.0 WITH LLVM-exception", "ISC"]
            clarify = [{ crate = "silent", expression = "MIT" }]
            [bans]
            deny = [{ crate = "bad", reason = "it is" }]
            [sources]
            allow-registry = ["https://index"]
            "#,
        )
        .unwrap()
    }

    #[test]
    fn expressions_are_met_by_what_is_allowed() {
        for (expression, expected) in [
            ("MIT", true),
            ("GPL-3.0", false),
            ("GPL-3.0 OR MIT", true),
            ("GPL-3.0/MIT", true),
            ("MIT AND GPL-3.0", false),
            ("MIT AND ISC", true),
            ("(MIT OR GPL-3.0) AND ISC", true),
            ("GPL-3.0 OR MIT AND ISC", true),
            ("MIT AND (GPL-3.0 OR BSD)", false),
            ("Apache-2.0", false),
            ("Apache-2.0 WITH LLVM-exception", true),
        ] {
            assert_eq!(
                policy().allows(expression).unwrap(),
                expected,
                "{expression}"
            );
        }
        for broken in ["", "MIT OR", "(MIT", "MIT ISC", "AND"] {
            assert!(policy().allows(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn each_fault_of_a_crate_is_named() {
        let package = |name, license, source| Package {
            name,
            version: "1.0.0",
            license,
            source,
            wildcards: Vec::new(),
        };
        let index = Some("registry+https://index");
        let faults = |name, license, source| policy().faults(&package(name, license, source));
        assert!(faults("good", Some("MIT"), index).is_empty());
        assert!(faults("silent", None, index).is_empty());
        assert!(faults("ours", None, None).is_empty());
        let any = serde_json::json!({ "name": "ours", "version": "1.0.0", "dependencies": [
            { "name": "free", "req": "*" },
            { "name": "beside", "req": "*", "path": "/beside" },
            { "name": "held", "req": "^1" },
        ] });
        let any = Package::read(&any).unwrap();
        assert_eq!(policy().faults(&any), ["ours takes any version of free"]);
        assert_eq!(faults("mute", None, index), ["mute 1.0.0 names no licence"]);
        assert_eq!(
            faults("bad", Some("GPL-3.0"), Some("git+https://elsewhere")),
            [
                "bad 1.0.0 comes from git+https://elsewhere",
                "bad 1.0.0 is banned: it is",
                "bad 1.0.0 is under GPL-3.0"
            ]
        );
    }
}
