//! Weights in another number format, without having them twice.

use bytes::Bytes;

use super::{LayerWeights, Weights};
use crate::{
    matrix::{Matrix, WeightFormat},
    turns::{Breathe, at_once, turn},
};

impl Weights {
    /// The same weights with every matrix in a format, as near as it comes. What is in it
    /// already is shared; what CCOT's adapters share with the base stays shared. Learned positions,
    /// an input map and all vectors stay as they are.
    pub fn converted(&self, format: WeightFormat) -> Self {
        let mut converted = self.clone();
        at_once(converted.convert(format, None));
        converted
    }

    /// The same of weights that nobody else has, with turns for others where there are any. The
    /// `files` that they were read from are given up before: there is never more than one matrix
    /// twice, unless somebody else has a file, too, which then is copied.
    pub async fn into_format(
        mut self,
        format: WeightFormat,
        files: Vec<Bytes>,
        breathe: Option<Breathe>,
    ) -> Self {
        self.leave(files, breathe).await;
        self.convert(format, breathe).await;
        self
    }

    async fn convert(&mut self, format: WeightFormat, breathe: Option<Breathe>) {
        self.format = format;
        let mut all: Vec<(Place, Matrix)> = Vec::new();
        for matrix in self.matrices_mut() {
            let place = Place::of(matrix.bytes());
            let mut same = all.iter().filter(|(known, _)| *known == place);
            *matrix = match same.next() {
                Some((_, converted)) => converted.clone(),
                None => matrix.converted_in_turns(format, breathe).await,
            };
            all.push((place, matrix.clone()));
        }
    }

    /// Gives every matrix that is part of a file memory of its own, from the end of the file on,
    /// which becomes so much shorter.
    async fn leave(&mut self, files: Vec<Bytes>, breathe: Option<Breathe>) {
        let places: Vec<Place> = files.iter().map(|file| Place::of(file)).collect();
        let mut parts: Vec<(Place, &mut Matrix)> = Vec::new();
        // All that is part of a file lets go of it.
        self.positions = self.positions.as_ref().map(Matrix::detached);
        for matrix in self.matrices_mut() {
            let place = Place::of(matrix.bytes());
            if places.iter().any(|file| file.contains(place)) {
                matrix.set_bytes(Bytes::new());
                parts.push((place, matrix));
            }
        }
        let furthest =
            |parts: &[(Place, &mut Matrix)]| (0..parts.len()).max_by_key(|index| parts[*index].0);
        let mut last: Option<(Place, Bytes)> = None;
        let files = files.into_iter().map(Vec::from);
        let mut files: Vec<(Place, Vec<u8>)> = places.into_iter().zip(files).collect();
        while let Some(index) = furthest(&parts) {
            let (place, matrix) = parts.swap_remove(index);
            let bytes = match last {
                Some((known, bytes)) if known == place => bytes,
                _ => {
                    let mut files = files.iter_mut();
                    let file = files.find(|(file, _)| file.contains(place));
                    let (file, rest) = file.expect("it is part of one");
                    let mut bytes = rest.split_off(place.start - file.start);
                    rest.shrink_to_fit();
                    bytes.truncate(place.n_bytes);
                    turn(breathe).await;
                    bytes.into()
                }
            };
            matrix.set_bytes(bytes.clone());
            last = Some((place, bytes));
        }
    }

    /// The matrices that have a number format, those of adapters among them.
    fn matrices_mut(&mut self) -> impl Iterator<Item = &mut Matrix> {
        let adapters = self.contemplation.as_mut();
        let adapters = adapters.map(|set| [&mut set.generator, &mut set.decoder]);
        let adapters = adapters.into_iter().flatten().flatten();
        let layers = self.layers.iter_mut().chain(adapters);
        let in_layers = layers.flat_map(LayerWeights::matrices_mut);
        let tables = [Some(&mut self.embedding), self.lm_head.as_mut()];
        let in_layers = in_layers.map(|(_, matrix)| matrix);
        tables.into_iter().flatten().chain(in_layers)
    }
}

/// Where bytes are in memory.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    start: usize,
    n_bytes: usize,
}

impl Place {
    fn of(bytes: &[u8]) -> Self {
        Self {
            start: bytes.as_ptr().addr(),
            n_bytes: bytes.len(),
        }
    }

    fn contains(self, other: Self) -> bool {
        self.start <= other.start && other.start + other.n_bytes <= self.start + self.n_bytes
    }
}
