//! The fetcher against servers that are well, ill, and gone.

mod server;

use std::path::Path;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use mnist_data::named::sha256;
use mnist_data::{Error, Fetch, FileDigests, Images, Labels, NamedSet, STANDARD_NAMES};
use server::{Answer, Server};
use std::io::Write as _;
use tempfile::TempDir;

/// Files of a small set that exists nowhere else, packed and unpacked.
struct Published {
    packed: [Vec<u8>; 4],
    set: NamedSet,
}

fn published() -> Published {
    // Long enough that a cut or flipped byte falls among the pixels.
    let pixels = |n: usize| (0..n * 784).map(|i| (i * i % 251) as u8).collect();
    let files = [
        Images::new(30, 28, 28, pixels(30)).unwrap().to_idx(),
        Labels::new((0..30).map(|i| i % 10).collect()).to_idx(),
        Images::new(10, 28, 28, pixels(10)).unwrap().to_idx(),
        Labels::new((0..10).collect()).to_idx(),
    ];
    let packed = files.each_ref().map(|file| gzip(file));
    let digests = |i: usize| FileDigests { gzip: Some(sha256(&packed[i])), idx: Some(sha256(&files[i])) };
    let set = NamedSet {
        name: "small".into(),
        classes: (0..10).map(|c| c.to_string()).collect(),
        mirrors: vec![],
        files: [digests(0), digests(1), digests(2), digests(3)],
    };
    Published { packed, set }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

impl Published {
    /// A server with all four files, each answered as `answer` decides.
    fn serve(&self, answer: impl Fn(&str, &[u8]) -> Answer + Send + 'static) -> Server {
        let packed = self.packed.clone();
        Server::start(move |path| {
            let file = STANDARD_NAMES.iter().position(|name| path == format!("/{name}.gz"));
            file.map_or(Answer::status(404), |i| answer(path, &packed[i]))
        })
    }

    fn fetch(&self, directory: &Path, mirrors: &[&Server]) -> Fetch {
        let mirrors = mirrors.iter().map(|m| m.address()).collect();
        let set = NamedSet { mirrors, ..self.set.clone() };
        Fetch::new(set).directory(directory).timeout(Duration::from_secs(20))
    }
}

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The fetch fails at the first file, says `expected` of it, and leaves nothing behind.
fn assert_refused(answer: impl Fn(&str, &[u8]) -> Answer + Send + 'static, expected: &str) {
    let published = published();
    let server = published.serve(answer);
    let directory = TempDir::new().unwrap();
    match published.fetch(directory.path(), &[&server]).run() {
        Err(Error::Fetch { file, attempts }) => {
            assert_eq!(file, STANDARD_NAMES[0]);
            assert_eq!(attempts.len(), 1);
            assert!(attempts[0].url.starts_with(&server.address()));
            assert!(attempts[0].reason.contains(expected), "{}", attempts[0].reason);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(names(directory.path()), [""; 0]);
}

#[test]
fn what_was_fetched_is_what_was_published_and_is_not_fetched_twice() {
    let published = published();
    let server = published.serve(|_, file| Answer::whole(file));
    let directory = TempDir::new().unwrap();
    let target = directory.path().join("made/on/demand");
    let fetch = published.fetch(&target, &[&server]);

    let mut received = 0;
    let first = fetch.run_with(|p| received = received.max(p.received)).unwrap();
    assert!(first.files.iter().all(|f| f.url.is_some()));
    assert_eq!(received, published.packed.iter().map(|f| f.len() as u64).max().unwrap());
    for (file, packed) in first.files.iter().zip(&published.packed) {
        assert_eq!(&std::fs::read(&file.path).unwrap(), packed);
    }
    assert_eq!(names(&target).len(), 4, "nothing but the files");

    let second = fetch.run().unwrap();
    assert!(second.files.iter().all(|f| f.url.is_none()));
    assert_eq!(server.requests(), 4);
    assert_eq!(fetch.offline(true).load().unwrap().train.len(), 30);
}

#[test]
fn a_missing_file_on_the_server_is_reported_as_such() {
    assert_refused(|_, _| Answer::status(404), "404");
    assert_refused(|_, _| Answer::status(500), "500");
}

#[test]
fn a_connection_cut_in_the_middle_leaves_nothing() {
    assert_refused(|_, file| Answer::cut(file, file.len() / 2), "");
    assert_refused(|_, file| Answer::cut(file, 0), "");
}

#[test]
fn a_body_cut_where_no_length_was_announced_is_noticed_by_its_digest() {
    assert_refused(|_, file| Answer::unannounced(&file[..file.len() - 1]), "SHA-256");
}

#[test]
fn one_wrong_byte_is_noticed() {
    let flip = |_: &str, file: &[u8]| {
        let mut file = file.to_vec();
        let middle = file.len() / 2;
        file[middle] ^= 1;
        Answer::whole(&file)
    };
    assert_refused(flip, "SHA-256");
}

#[test]
fn an_error_page_with_status_200_is_noticed() {
    assert_refused(|_, _| Answer::whole(b"<html>moved</html>"), "SHA-256");
}

#[test]
fn files_without_published_digests_still_have_to_be_whole_idx() {
    let mut published = published();
    published.set.files = Default::default();
    let directory = TempDir::new().unwrap();
    let page = published.serve(|_, _| Answer::whole(b"<html>moved</html>"));
    let error = published.fetch(directory.path(), &[&page]).run().unwrap_err();
    assert!(error.to_string().contains("expected gzip"), "{error}");
    let short = published.serve(|_, file| Answer::whole(&file[..file.len() - 9]));
    assert!(published.fetch(directory.path(), &[&short]).run().is_err());
    assert_eq!(names(directory.path()), [""; 0]);
}

/// Packed right and unpacked wrong: the digest of the packed file is unknown, that of the data is not met.
#[test]
fn unpacked_data_other_than_the_published_are_refused() {
    let mut published = published();
    for file in &mut published.set.files {
        file.gzip = None;
    }
    let other = gzip(&Images::new(30, 28, 28, vec![0; 30 * 784]).unwrap().to_idx());
    let directory = TempDir::new().unwrap();
    let server = published.serve(move |_, _| Answer::whole(&other));
    let error = published.fetch(directory.path(), &[&server]).run().unwrap_err();
    assert!(error.to_string().contains("the unpacked data"), "{error}");
}

#[test]
fn the_second_mirror_serves_what_the_first_cannot() {
    let published = published();
    let ill = published.serve(|path, file| match path.contains("images") {
        true => Answer::cut(file, 100),
        false => Answer::status(503),
    });
    let well = published.serve(|_, file| Answer::whole(file));
    let directory = TempDir::new().unwrap();
    let fetched = published.fetch(directory.path(), &[&ill, &well]).run().unwrap();
    for file in &fetched.files {
        assert!(file.url.as_ref().unwrap().starts_with(&well.address()));
    }
    assert_eq!((ill.requests(), well.requests()), (4, 4));
    assert_eq!(names(directory.path()).len(), 4);
}

#[test]
fn all_mirrors_that_failed_are_listed() {
    let published = published();
    let first = published.serve(|_, _| Answer::status(404));
    let second = published.serve(|_, _| Answer::status(403));
    let directory = TempDir::new().unwrap();
    let message = published.fetch(directory.path(), &[&first, &second]).run().unwrap_err().to_string();
    assert!(message.contains(&first.address()) && message.contains(&second.address()), "{message}");
    assert!(message.contains("404") && message.contains("403"), "{message}");
}

#[test]
fn a_server_that_is_gone_is_an_error_and_not_a_wait() {
    let published = published();
    let server = published.serve(|_, file| Answer::whole(file));
    let directory = TempDir::new().unwrap();
    let fetch = published.fetch(directory.path(), &[&server]);
    drop(server);
    assert!(matches!(fetch.run(), Err(Error::Fetch { .. })));
}

#[test]
fn offline_names_the_file_that_is_missing_and_asks_nobody() {
    let published = published();
    let server = published.serve(|_, file| Answer::whole(file));
    let directory = TempDir::new().unwrap();
    let target = directory.path().join("small");
    match published.fetch(&target, &[&server]).offline(true).run() {
        Err(Error::Offline { path, found }) => {
            assert!(path.ends_with("train-images-idx3-ubyte.gz"));
            assert_eq!(found, "no file");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(server.requests(), 0);
    assert!(!target.exists(), "nothing is made");
}

#[test]
fn a_damaged_download_is_replaced_but_an_unpacked_file_never() {
    let published = published();
    let server = published.serve(|_, file| Answer::whole(file));
    let directory = TempDir::new().unwrap();
    let fetch = published.fetch(directory.path(), &[&server]);
    fetch.run().unwrap();
    let path = directory.path().join("t10k-labels-idx1-ubyte.gz");
    std::fs::write(&path, b"half a fi").unwrap();
    let error = fetch.clone().offline(true).run().unwrap_err();
    assert!(matches!(error, Error::Offline { .. }), "{error}");
    fetch.run().unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), published.packed[3]);
    assert_eq!(server.requests(), 5);

    let own = directory.path().join("t10k-labels-idx1-ubyte");
    let contents = Labels::new(vec![0; 10]).to_idx();
    std::fs::write(&own, &contents).unwrap();
    assert!(matches!(fetch.run(), Err(Error::Checksum { path, .. }) if path == own));
    assert_eq!(std::fs::read(&own).unwrap(), contents);
}
