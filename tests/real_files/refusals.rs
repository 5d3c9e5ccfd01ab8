//! Errors about real files: what can't be read is named, and so is what can.

use wgpu_lstm::{Error, LstmWeights, find_lstms_in_file};

use crate::truth::{networks, path};

/// The reason of an unsupported file, which reading and listing both give.
fn unsupported(file: &str) -> String {
    let reason = |error: Error| match error {
        Error::UnsupportedFile { reason } => reason,
        other => panic!("{file}: {other:?}"),
    };
    let listed = reason(find_lstms_in_file(path(file)).expect_err("no list"));
    for prefix in ["", "lstm."] {
        let read = reason(LstmWeights::from_file(path(file), prefix).expect_err("no weights"));
        assert_eq!(read, listed, "{file}");
    }
    listed
}

#[test]
fn torchscript_is_refused_by_name() {
    let reason = unsupported("silero-vad/silero_vad.jit");
    assert!(reason.contains("TorchScript"), "{reason}");
}

/// A pickle of NumPy arrays under PyTorch's names, which no PyTorch wrote.
#[test]
fn a_pickle_without_tensors_is_refused_by_what_it_is() {
    let reason = unsupported("g2pM/np_ckpt.pkl");
    assert!(reason.contains("pickle") && reason.contains("NumPy"), "{reason}");
}

/// The error for a wrong prefix names every network of the file under one of its names.
#[test]
fn a_wrong_prefix_lists_the_right_ones() {
    let networks = networks();
    for network in &networks {
        for (file, _) in &network.sources {
            let error = LstmWeights::from_file(path(file), "no.such.prefix.").expect_err("no weights");
            let Error::WrongPrefix { prefix, found, .. } = &error else { panic!("{file}: {error:?}") };
            assert_eq!(prefix, "no.such.prefix.");
            let prefixes = network.prefixes_in(file);
            let listed = found.iter().find(|lstm| prefixes.contains(&lstm.prefix.as_str()));
            let listed = listed.unwrap_or_else(|| panic!("{file}: none of {prefixes:?} in {error}"));
            assert!(error.to_string().contains(&listed.prefix), "{error}");
        }
    }
}

/// Without a prefix the only network of a file is read, and of several none.
#[test]
fn the_only_network_needs_no_prefix() {
    let mut alone = 0;
    for network in networks() {
        for (file, prefix) in &network.sources {
            let listed = find_lstms_in_file(path(file)).expect("a list");
            match LstmWeights::from_file(path(file), "") {
                Ok(only) => {
                    assert_eq!(listed.len(), 1, "{file}");
                    assert_eq!(
                        only,
                        LstmWeights::from_file(path(file), prefix).expect("by its name"),
                        "{file}"
                    );
                    alone += 1;
                }
                Err(Error::WrongPrefix { found, .. }) => {
                    assert!(found.len() == listed.len() && listed.len() > 1, "{file}: {found:?}");
                }
                Err(other) => panic!("{file}: {other:?}"),
            }
        }
    }
    assert!(alone >= 8, "{alone}");
}
