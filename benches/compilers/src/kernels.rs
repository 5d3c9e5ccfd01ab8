//! The kernels: all that the planner can choose on hardware, for networks that reach each of its paths.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use wgpu_lstm::inspect::{DeviceClass, Inspection, Kernel};
use wgpu_lstm::{LstmConfig, Precision};

/// A kernel with the constants of one pipeline, and the networks that use it.
pub struct Case {
    pub kernel: Kernel,
    /// That of the weights.
    pub precision: Precision,
    pub networks: Vec<String>,
}

/// H, I and P of the networks; each is planned in one direction and two, and in both precisions, with two layers.
///
/// H: below and at a slab of 32 (16, 20), beside powers of two (100, 320), where weights persist in registers and where
/// they don't (16 to 128), at the most invocations of a workgroup and beyond (256, 320, 1024). I: shorter than a stage
/// of 32 `vec4f` (40), as long (128), much longer (20000, where two directions of H = 256 are more than a buffer holds).
/// P: a quarter and a half of H.
const SIZES: [(usize, usize, usize); 14] = [
    (16, 40, 0),
    (20, 20, 0),
    (64, 40, 0),
    (64, 20_000, 0),
    (100, 40, 0),
    (128, 128, 0),
    (256, 40, 0),
    (256, 128, 0),
    (256, 20_000, 0),
    (320, 40, 0),
    (1024, 128, 0),
    (128, 40, 64),
    (256, 128, 64),
    (1024, 128, 512),
];

fn networks() -> impl Iterator<Item = (String, LstmConfig)> {
    SIZES.into_iter().flat_map(|(hidden, input, projection)| {
        let directions = if (hidden, input) == (256, 20_000) { 1..=1 } else { 1..=2 };
        directions.map(move |directions| {
            // the second layer's input is the first's output
            let config = LstmConfig::new(input, hidden)
                .with_proj_size(projection)
                .with_num_layers(2)
                .with_bidirectional(directions == 2);
            (format!("I{input} H{hidden} P{projection} D{directions}"), config)
        })
    })
}

/// Every different kernel for a class of devices, in the order of their names.
pub fn cases(class: DeviceClass) -> Result<Vec<Case>> {
    let mut cases: Vec<Case> = Vec::new();
    let mut add = |kernel: Kernel, precision, network: &str| match cases
        .iter_mut()
        .find(|case| case.kernel.source == kernel.source && case.kernel.overrides == kernel.overrides)
    {
        Some(known) => known.networks.push(network.to_owned()),
        None => cases.push(Case { kernel, precision, networks: vec![network.to_owned()] }),
    };
    for precision in [Precision::F32, Precision::F16] {
        for (name, config) in networks() {
            let inspection =
                Inspection::new(&config, precision, class).with_context(|| format!("planning {name}"))?;
            for kernel in inspection.kernels() {
                add(kernel, precision, &name);
            }
        }
    }
    name_apart(&mut cases);
    cases.sort_by(|a, b| a.kernel.name.cmp(&b.kernel.name));
    Ok(cases)
}

/// Kernels of one name, which differ in constants that their name does not have, get these.
fn name_apart(cases: &mut [Case]) {
    let mut of_name: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (index, case) in cases.iter().enumerate() {
        of_name.entry(case.kernel.name.clone()).or_default().push(index);
    }
    for alike in of_name.into_values().filter(|alike| alike.len() > 1) {
        let overrides: Vec<_> = alike.iter().map(|&index| cases[index].kernel.overrides.clone()).collect();
        for (&index, own) in alike.iter().zip(&overrides) {
            for constant in own {
                if !overrides.iter().all(|others| others.contains(constant)) {
                    let (name, value) = constant;
                    cases[index].kernel.name += &format!("-{}{value}", name.to_lowercase());
                }
            }
        }
    }
}

impl Case {
    /// Whether a tile is one row: a batch of one, or the last rows of a batch.
    pub fn one_row(&self) -> bool {
        self.kernel.overrides.contains(&("ROWS", 1.0))
    }

    /// Bytes of four numbers of a matrix.
    pub fn element_bytes(&self) -> u32 {
        if self.precision == Precision::F16 { 8 } else { 16 }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn stem(kernel: &Kernel) -> &str {
        kernel.name.split('-').next().unwrap_or_default()
    }

    #[test]
    fn names_are_unique_and_every_kernel_of_the_class_is_there() {
        for class in [DeviceClass::Hardware, DeviceClass::HardwareOf64Lanes] {
            let cases = cases(class).expect("all networks are within the limits");
            let names: BTreeSet<_> = cases.iter().map(|case| &case.kernel.name).collect();
            assert_eq!(names.len(), cases.len());
            let stems: BTreeSet<_> = cases.iter().map(|case| stem(&case.kernel)).collect();
            for kernel in class.kernels().expect("within the limits") {
                assert!(stems.contains(stem(&kernel)), "no network uses {}", kernel.name);
            }
        }
    }

    #[test]
    fn kernels_of_one_name_get_the_constants_in_which_they_differ() {
        let cases_now = cases(DeviceClass::Hardware).expect("within the limits");
        let mut first = cases_now.into_iter().next().expect("a kernel");
        first.kernel.overrides = vec![("SAME", 1.0), ("SPLIT", 8.0)];
        let mut other = first.kernel.clone();
        other.overrides = vec![("SAME", 1.0), ("SPLIT", 16.0)];
        let name = first.kernel.name.clone();
        let other = Case { kernel: other, precision: first.precision, networks: Vec::new() };
        let mut both = [first, other];
        name_apart(&mut both);
        assert_eq!(both[0].kernel.name, format!("{name}-split8"));
        assert_eq!(both[1].kernel.name, format!("{name}-split16"));
    }
}
