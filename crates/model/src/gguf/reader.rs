//! Reads the parts of a GGUF header; every length is checked before it is believed.

use super::{GgufFault, metadata::Value};

/// The longest prefix of a text that an error repeats.
const MAX_REPEATED: usize = 40;

/// A place in a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Where it stands.
    pub fn at(&self) -> usize {
        self.at
    }

    pub fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    pub fn take(&mut self, n: u64, what: &dyn Fn() -> String) -> Result<&'a [u8], GgufFault> {
        match usize::try_from(n).ok().filter(|n| *n <= self.left()) {
            Some(n) => {
                let taken = &self.bytes[self.at..self.at + n];
                self.at += n;
                Ok(taken)
            }
            None => Err(GgufFault::Truncated {
                what: what(),
                at: self.at,
                needed: n,
                left: self.left(),
            }),
        }
    }

    fn array<const N: usize>(&mut self, what: &dyn Fn() -> String) -> Result<[u8; N], GgufFault> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N as u64, what)?);
        Ok(array)
    }

    pub fn u32(&mut self, what: &dyn Fn() -> String) -> Result<u32, GgufFault> {
        self.array(what).map(u32::from_le_bytes)
    }

    pub fn u64(&mut self, what: &dyn Fn() -> String) -> Result<u64, GgufFault> {
        self.array(what).map(u64::from_le_bytes)
    }

    /// A number of things, each of at least `least_bytes` bytes, that come behind it or behind
    /// what else the header counts.
    pub fn count(&mut self, what: &'static str, least_bytes: u64) -> Result<u64, GgufFault> {
        let found = self.u64(&|| format!("the number of {what}"))?;
        let left = self.left();
        let most = left as u64 / least_bytes;
        match found <= most {
            true => Ok(found),
            false => Err(GgufFault::Count {
                what,
                found,
                most,
                left,
            }),
        }
    }

    pub fn text(&mut self, what: &dyn Fn() -> String) -> Result<&'a str, GgufFault> {
        let len = self.u64(what)?;
        let bytes = self.take(len, what)?;
        std::str::from_utf8(bytes).map_err(|_| GgufFault::Text { what: what() })
    }

    /// The value of a metadata key.
    pub fn value(&mut self, key: &str) -> Result<Value<'a>, GgufFault> {
        let what = || format!("metadata {:?}", shortened(key));
        let code = self.u32(&what)?;
        match code {
            LIST => self.list(key, &what),
            _ => self.plain(code, key, &what),
        }
    }

    fn plain(
        &mut self,
        code: u32,
        key: &str,
        what: &dyn Fn() -> String,
    ) -> Result<Value<'a>, GgufFault> {
        Ok(match code {
            0 => Value::Unsigned(u8::from_le_bytes(self.array(what)?).into()),
            1 => Value::Signed(i8::from_le_bytes(self.array(what)?).into()),
            2 => Value::Unsigned(u16::from_le_bytes(self.array(what)?).into()),
            3 => Value::Signed(i16::from_le_bytes(self.array(what)?).into()),
            4 => Value::Unsigned(self.u32(what)?.into()),
            5 => Value::Signed(i32::from_le_bytes(self.array(what)?).into()),
            6 => Value::Float(f32::from_le_bytes(self.array(what)?).into()),
            7 => Value::Bool(self.array::<1>(what)? != [0]),
            8 => Value::Text(self.text(what)?),
            10 => Value::Unsigned(self.u64(what)?),
            11 => Value::Signed(i64::from_le_bytes(self.array(what)?)),
            12 => Value::Float(f64::from_le_bytes(self.array(what)?)),
            found => {
                let key = shortened(key);
                return Err(GgufFault::ValueType { key, found });
            }
        })
    }

    /// A list is walked through once, and its values are read again by whoever asks for them.
    fn list(&mut self, key: &str, what: &dyn Fn() -> String) -> Result<Value<'a>, GgufFault> {
        let code = self.u32(what)?;
        let least_bytes = match code {
            0 | 1 | 7 => 1,
            2 | 3 => 2,
            4..=6 => 4,
            8 | 10..=12 => 8,
            found => {
                let key = shortened(key);
                return Err(GgufFault::ValueType { key, found });
            }
        };
        let n = self.count("values of a metadata list", least_bytes)?;
        let start = *self;
        match code {
            8 => {
                for _ in 0..n {
                    self.text(what)?;
                }
            }
            _ => {
                self.take(n * least_bytes, what)?;
            }
        }
        let values = start.clone_until(self.at);
        Ok(Value::List(List {
            code,
            n: n as usize,
            values,
        }))
    }

    fn clone_until(self, end: usize) -> Self {
        Self {
            bytes: &self.bytes[..end],
            at: self.at,
        }
    }
}

/// The code of a list.
const LIST: u32 = 9;

/// A list of plain values, all of one type, which lie in the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct List<'a> {
    code: u32,
    /// Values in it.
    pub n: usize,
    values: Reader<'a>,
}

impl<'a> List<'a> {
    /// Its values in order.
    pub fn values(self) -> impl Iterator<Item = Value<'a>> {
        let mut reader = self.values;
        let what = || "a metadata list".to_string();
        // They have all been read once.
        (0..self.n).map_while(move |_| reader.plain(self.code, "", &what).ok())
    }
}

/// A name as an error repeats it.
pub(super) fn shortened(name: &str) -> String {
    match name.char_indices().nth(MAX_REPEATED) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.into(),
    }
}
