// Rust: threads, channels, collections, files.
use std::collections::BTreeMap;
use std::sync::mpsc;
use std::{fs, thread};

fn main() -> std::io::Result<()> {
    let (send, receive) = mpsc::channel();
    for n in 0..4u64 {
        let send = send.clone();
        thread::spawn(move || send.send(n * n).unwrap());
    }
    drop(send);
    println!("{}", receive.iter().sum::<u64>());
    let mut words = BTreeMap::new();
    for word in "a b a c a".split(' ') {
        *words.entry(word).or_insert(0) += 1;
    }
    println!("{words:?}");
    let file = std::env::temp_dir().join("rust-file");
    fs::write(&file, "written")?;
    println!("{}", fs::read_to_string(&file)?);
    fs::remove_file(&file)
}
