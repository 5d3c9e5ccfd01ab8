//! A guide in chapters, for those who put a network into an application. All of its code is compiled and run by the tests.

#[doc = include_str!("../docs/guide/device.md")]
pub mod device {}
#[doc = include_str!("../docs/guide/shapes.md")]
pub mod shapes {}
#[doc = include_str!("../docs/guide/weights.md")]
pub mod weights {}
#[doc = include_str!("../docs/guide/streams.md")]
pub mod streams {}
#[doc = include_str!("../docs/guide/resident.md")]
pub mod resident {}
#[doc = include_str!("../docs/guide/sharing.md")]
pub mod sharing {}
#[doc = include_str!("../docs/guide/browser.md")]
pub mod browser {}
#[doc = include_str!("../docs/guide/memory.md")]
pub mod memory {}
#[doc = include_str!("../docs/guide/reproducibility.md")]
pub mod reproducibility {}
#[doc = include_str!("../docs/guide/failures.md")]
pub mod failures {}
#[doc = include_str!("../docs/guide/cluster.md")]
pub mod cluster {}
