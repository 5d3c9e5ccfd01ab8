//! The cost model against what benches/web.rs measured in a browser.

use crate::batch::Packing;
use crate::config::LstmConfig;
use crate::kernels::tests::limits;
use crate::plan::Planner;
use crate::plan::cost::costs;
use crate::program::{DeviceLimits, Element};
use crate::tuning::Schedule::{self, Scan, Single, Step};

/// Of a call, besides its dispatches, in ms: submitting, waiting in the event loop, mapping. The model leaves it out, as it
/// is the same for all schedules.
const CALL: f64 = 4.0;

/// Inputs and hidden units, sequences, and ms of a call of 100 steps under each schedule (of one layer
/// `diagonal` is `single`). Chromium 156 on SwiftShader, two
/// cores of an EPYC, 2026-11-26, on a shared machine: repeated times differ by a factor of up to two.
const MEASURED: [(usize, usize, [(Schedule, f64); 3]); 6] = [
    (16, 1, [(Scan, 5.96), (Step, 23.9), (Single, 17.3)]),
    (64, 1, [(Scan, 8.22), (Step, 15.5), (Single, 33.1)]),
    (128, 1, [(Scan, 23.7), (Step, 87.1), (Single, 124.0)]),
    (256, 1, [(Scan, 129.0), (Step, 233.0), (Single, 447.0)]),
    (128, 4, [(Scan, 85.3), (Step, 90.0), (Single, 156.0)]),
    (256, 16, [(Scan, 1180.0), (Step, 1387.0), (Single, 3219.0)]),
];

#[test]
fn a_browsers_software_adapter_costs_what_was_measured() {
    let limits = DeviceLimits { browser: true, ..limits(true, None) };
    for (width, batch, measured) in MEASURED {
        let planner = Planner::new(&LstmConfig::new(width, width), &limits, Element::F32).unwrap();
        let costs = costs(&planner, &Packing::equal(100, batch), 256 << 20).unwrap();
        for (schedule, ms) in measured {
            let cost = costs.iter().find(|cost| cost.schedule == schedule).unwrap();
            let predicted = CALL + 1e3 * cost.seconds;
            let off = (predicted / ms).max(ms / predicted);
            assert!(off < 2.5, "H {width} B {batch} {schedule}: {predicted:.1} ms, measured {ms}");
        }
        let fastest = measured.iter().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap().0;
        assert_eq!(costs[0].schedule, fastest, "H {width} B {batch}");
    }
}
