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
const CALL: f64 = 3.5;

/// Milliseconds of a call of 100 steps under each schedule (of one layer `diagonal` is `single`).
type Times = [(Schedule, f64); 3];

/// Inputs and hidden units, sequences, times. Chromium 156 on SwiftShader, two cores of an EPYC, 2026-11-26, on a shared
/// machine: repeated times differ by a factor of up to two.
const MEASURED: [(usize, usize, Times); 6] = [
    (16, 1, [(Scan, 3.35), (Step, 10.7), (Single, 15.7)]),
    (64, 1, [(Scan, 7.97), (Step, 11.3), (Single, 35.5)]),
    (128, 1, [(Scan, 25.2), (Step, 91.5), (Single, 102.0)]),
    (256, 1, [(Scan, 60.0), (Step, 117.0), (Single, 313.0)]),
    (128, 4, [(Scan, 42.6), (Step, 64.0), (Single, 95.3)]),
    (256, 16, [(Scan, 706.0), (Step, 788.0), (Single, 1529.0)]),
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
