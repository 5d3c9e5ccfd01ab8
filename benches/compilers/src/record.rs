//! What a run found.

use anyhow::Result;
use serde::Serialize;

use crate::figures::Figures;
use crate::gpu::{Gpu, Vendor};
use crate::kernels::Case;
use crate::vulkan::About;

#[derive(Debug)]
pub struct Record {
    pub date: String,
    pub commit: String,
    pub gpus: Vec<(Gpu, About)>,
    pub kernels: Vec<Known>,
    /// In the order of the kernels' names, then that of the GPUs.
    pub rows: Vec<Row>,
}

/// A kernel and who uses it.
#[derive(Debug, Serialize)]
pub struct Known {
    /// That of the GPUs.
    pub class: &'static str,
    pub name: String,
    pub overrides: Vec<(&'static str, f64)>,
    pub networks: Vec<String>,
}

/// A pipeline on a GPU.
#[derive(Debug, Serialize)]
pub struct Row {
    pub gpu: &'static str,
    #[serde(skip)]
    pub vendor: Vendor,
    pub kernel: String,
    #[serde(skip)]
    pub one_row: bool,
    /// Of four numbers of a matrix.
    #[serde(skip)]
    pub element_bytes: u32,
    #[serde(flatten)]
    pub outcome: Outcome,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    Compiled {
        figures: Figures,
        /// As the driver tells them.
        statistics: Vec<(String, f64)>,
    },
    Failed(String),
}

impl Row {
    pub fn new(gpu: Gpu, case: &Case, outcome: Outcome) -> Self {
        Self {
            gpu: gpu.name,
            vendor: gpu.vendor,
            kernel: case.kernel.name.clone(),
            one_row: case.one_row(),
            element_bytes: case.element_bytes(),
            outcome,
        }
    }

    pub fn figures(&self) -> Option<&Figures> {
        match &self.outcome {
            Outcome::Compiled { figures, .. } => Some(figures),
            Outcome::Failed(_) => None,
        }
    }

    /// The kernel's file stem.
    pub fn stem(&self) -> &str {
        self.kernel.split('-').next().unwrap_or_default()
    }
}

impl Record {
    /// As JSON, a kernel or pipeline a line.
    pub fn json(&self) -> Result<String> {
        let gpus = self.gpus.iter().map(|(gpu, about)| {
            serde_json::json!({
                "name": gpu.name, "devices": gpu.devices, "class": gpu.class().name(), "adapter": about.adapter, "driver": about.driver,
            })
        });
        Ok(format!(
            "{{\n\"date\": {},\n\"commit\": {},\n\"gpus\": {},\n\"kernels\": {},\n\"pipelines\": {}\n}}\n",
            serde_json::to_string(&self.date)?,
            serde_json::to_string(&self.commit)?,
            lines(gpus)?,
            lines(&self.kernels)?,
            lines(&self.rows)?,
        ))
    }
}

fn lines<T: Serialize>(all: impl IntoIterator<Item = T>) -> Result<String> {
    let lines: Vec<_> = all.into_iter().map(|one| serde_json::to_string(&one)).collect::<Result<_, _>>()?;
    Ok(format!("[\n{}\n]", lines.join(",\n")))
}
