//! Event files that [TensorBoard](https://www.tensorflow.org/tensorboard) shows: scalars, histograms and the graph.
//! [`callbacks::TensorBoard`](crate::callbacks::TensorBoard) writes them while a network trains.
//!
//! ```
//! use nn_train::tensorboard::EventWriter;
//! # let dir = tempfile::tempdir()?;
//! let mut events = EventWriter::create(&dir.path().join("train"))?;
//! for (epoch, loss) in [0.9, 0.4, 0.2].into_iter().enumerate() {
//!     events.scalar("epoch_loss", epoch as u64, loss)?;
//! }
//! events.histogram("dense/kernel", 3, &[-0.1f32, 0.0, 0.2])?;
//! events.flush()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod graph;
mod histogram;
mod proto;
mod record;

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use nn_core::Scalar;
use nn_core::graph::{Graph, Node};
use prost::Message as _;

use self::proto::{Event, Kind, Summary, Value, What};
use crate::{Error, Result};

/// What the first record of an event file says.
const FILE_VERSION: &str = "brain.Event:2";

/// Event files that this process has begun: two that begin within a second need different names.
static FILES: AtomicU64 = AtomicU64::new(0);

/// Writes one event file. Records are only ever added to it, each with its checksums, so what a run that ends early
/// leaves behind can be read up to its last whole record.
#[derive(Debug)]
pub struct EventWriter {
    path: PathBuf,
    file: BufWriter<File>,
}

impl EventWriter {
    /// Begins a new event file `events.out.tfevents.<seconds>.<host>.<process>.<number>` in `dir`, which is made if need
    /// be. TensorBoard calls the directory a run.
    ///
    /// # Errors
    /// If the directory or the file can't be made.
    pub fn create(dir: &Path) -> Result<Self> {
        fs::create_dir_all(dir).map_err(|e| Error::file(dir, "create", e))?;
        let number = FILES.fetch_add(1, Ordering::Relaxed);
        let name = format!(
            "events.out.tfevents.{:010}.{}.{}.{number}",
            seconds_since_1970() as u64,
            host(),
            std::process::id()
        );
        let path = dir.join(name);
        let file = File::create_new(&path).map_err(|e| Error::file(&path, "create", e))?;
        let mut this = Self { path, file: BufWriter::new(file) };
        this.write(0, What::FileVersion(FILE_VERSION.to_owned()))?;
        this.flush()?;
        Ok(this)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a number, which TensorBoard keeps in single precision.
    ///
    /// # Errors
    /// If the file can't be written.
    pub fn scalar(&mut self, tag: &str, step: u64, value: f64) -> Result<()> {
        self.summary(tag, step, Kind::SimpleValue(value as f32))
    }

    /// Writes how the finite ones of `values` are distributed: their counts in 30 ranges of equal width.
    ///
    /// # Errors
    /// If the file can't be written.
    pub fn histogram<T: Scalar>(&mut self, tag: &str, step: u64, values: &[T]) -> Result<()> {
        self.summary(tag, step, Kind::Histogram(histogram::histogram(values)))
    }

    /// Writes the graph, in TensorFlow's vocabulary; floats are said to be single precision. Returns how many nodes were
    /// written.
    ///
    /// # Errors
    /// If the file can't be written.
    pub fn graph(&mut self, graph: &Graph) -> Result<usize> {
        self.graph_def(graph::graph_def(graph, graph.handles()))
    }

    /// Writes the given nodes of a graph, as [`graph`](Self::graph) writes all. The inputs of each should be among them.
    ///
    /// # Errors
    /// If the file can't be written.
    pub fn graph_of(&mut self, graph: &Graph, nodes: &[Node]) -> Result<usize> {
        self.graph_def(graph::graph_def(graph, nodes.iter().copied()))
    }

    fn graph_def(&mut self, def: proto::GraphDef) -> Result<usize> {
        self.write(0, What::GraphDef(def.encode_to_vec()))?;
        Ok(def.node.len())
    }

    /// Hands everything written so far to the operating system, so that a running TensorBoard sees it.
    ///
    /// # Errors
    /// If the file can't be written.
    pub fn flush(&mut self) -> Result<()> {
        self.file.flush().map_err(|e| Error::file(&self.path, "write", e))
    }

    fn summary(&mut self, tag: &str, step: u64, kind: Kind) -> Result<()> {
        let value = Value { tag: tag.to_owned(), kind: Some(kind) };
        self.write(step, What::Summary(Summary { value: vec![value] }))
    }

    fn write(&mut self, step: u64, what: What) -> Result<()> {
        let step = i64::try_from(step).unwrap_or(i64::MAX);
        let event = Event { wall_time: seconds_since_1970(), step, what: Some(what) };
        let mut record = Vec::new();
        record::append_record(&mut record, &event.encode_to_vec());
        self.file.write_all(&record).map_err(|e| Error::file(&self.path, "write", e))
    }
}

/// 0 where the clock stands before 1970.
fn seconds_since_1970() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64())
}

/// The machine's name, with nothing in it that a file's name can't hold.
fn host() -> String {
    let name = gethostname::gethostname().to_string_lossy().into_owned();
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '-' };
    name.chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    type TestResult = std::result::Result<(), Box<dyn std::error::Error>>;

    /// The events of a file, found by the lengths of its records.
    fn events(path: &Path) -> std::result::Result<Vec<Event>, Box<dyn std::error::Error>> {
        let bytes = fs::read(path)?;
        let (mut rest, mut events) = (bytes.as_slice(), Vec::new());
        while let Some((length, after)) = rest.split_first_chunk::<8>() {
            let length = usize::try_from(u64::from_le_bytes(*length))?;
            let data = after.get(4..4 + length).ok_or("a record that is cut off")?;
            events.push(Event::decode(data)?);
            rest = after.get(8 + length..).ok_or("a checksum that is cut off")?;
        }
        Ok(events)
    }

    #[test]
    fn what_is_written_is_read_back_in_order_after_the_version() -> TestResult {
        let dir = tempfile::tempdir()?;
        let mut writer = EventWriter::create(&dir.path().join("made/for/it"))?;
        writer.scalar("loss", 7, 0.25)?;
        writer.histogram("w", 8, &[1.0f32, 2.0])?;
        let mut graph = Graph::new();
        graph.placeholder("x", &[None, Some(2)])?;
        assert_eq!(writer.graph(&graph)?, 1);
        writer.flush()?;

        let found = events(writer.path())?;
        assert_eq!(found.iter().map(|e| e.step).collect::<Vec<_>>(), [0, 7, 8, 0]);
        assert_eq!(found[0].what, Some(What::FileVersion("brain.Event:2".into())));
        let scalar = Value { tag: "loss".into(), kind: Some(Kind::SimpleValue(0.25)) };
        assert_eq!(found[1].what, Some(What::Summary(Summary { value: vec![scalar] })));
        assert!(matches!(&found[2].what, Some(What::Summary(s)) if s.value[0].tag == "w"));
        let Some(What::GraphDef(bytes)) = &found[3].what else { return Err("no graph".into()) };
        assert_eq!(proto::GraphDef::decode(bytes.as_slice())?.node[0].op, "Placeholder");
        Ok(())
    }

    #[test]
    fn two_files_of_one_second_have_different_names() -> TestResult {
        let dir = tempfile::tempdir()?;
        let (a, b) = (EventWriter::create(dir.path())?, EventWriter::create(dir.path())?);
        assert_ne!(a.path(), b.path());
        Ok(())
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_named() -> TestResult {
        let dir = tempfile::tempdir()?;
        let file = dir.path().join("file");
        fs::write(&file, "")?;
        let Err(error) = EventWriter::create(&file) else { return Err("it was made".into()) };
        assert!(error.to_string().starts_with(&format!("{}: cannot create: ", file.display())), "{error}");
        Ok(())
    }
}
