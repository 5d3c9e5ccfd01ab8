//! Records a program, submits it, and reads back what it leaves.

use std::panic::{AssertUnwindSafe, catch_unwind};

use futures_channel::oneshot;

use super::{Gpu, Pipelines};
use crate::error::Error;
use crate::spec::{BufferRef, Host, Program, Submission, Transfer};

/// How a call waits for the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// In the calling thread.
    Block,
    /// In a thread of its own, so that the caller's executor goes on; in a browser, in its event loop.
    Async,
}

/// A program's buffers and bind groups on the device.
struct Prepared {
    /// The uniforms of one submission after the other.
    params: wgpu::Buffer,
    buffers: Vec<wgpu::Buffer>,
    bind_groups: Vec<wgpu::BindGroup>,
}

/// The staging buffer of a submission, and the word that it is mapped.
struct Staged {
    buffer: wgpu::Buffer,
    mapped: oneshot::Receiver<Result<(), wgpu::BufferAsyncError>>,
    submission: wgpu::SubmissionIndex,
}

impl Gpu {
    /// Runs all submissions in order and hands everything that comes back to `host`.
    pub async fn run<Tag, H: Host<Tag>>(
        &self,
        program: &Program<Tag>,
        pipelines: &Pipelines,
        resident: &[wgpu::Buffer],
        host: &mut H,
        wait: Wait,
    ) -> Result<(), Error> {
        let prepared = self.scoped(|| self.prepare(program, pipelines, resident)).await?;
        for submission in &program.submissions {
            let submit = || self.submit(submission, &prepared, pipelines, host);
            if let Some(staged) = self.scoped(submit).await? {
                self.read_back(staged, submission, host, wait).await?;
            }
        }
        Ok(())
    }

    fn prepare<Tag>(
        &self,
        program: &Program<Tag>,
        pipelines: &Pipelines,
        resident: &[wgpu::Buffer],
    ) -> Prepared {
        let params = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("params"),
            size: program.params_bytes() as u64,
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let create = |spec: &crate::spec::BufferSpec| {
            self.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some(&spec.label),
                size: spec.bytes(),
                usage: wgpu::BufferUsages::STORAGE
                    | wgpu::BufferUsages::COPY_DST
                    | wgpu::BufferUsages::COPY_SRC,
                mapped_at_creation: false,
            })
        };
        let buffers: Vec<wgpu::Buffer> = program.buffers.iter().map(create).collect();
        let bind = |set: &crate::spec::BindSet| {
            let pipeline = &pipelines.pipelines[set.pipeline];
            let uniform = wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                buffer: &params,
                offset: 0,
                size: wgpu::BufferSize::new(u64::from(pipeline.uniform_bytes)),
            });
            let storage = set.buffers.iter().map(|&buffer| match buffer {
                BufferRef::Resident(index) => resident[index].as_entire_binding(),
                BufferRef::Program(index) => buffers[index].as_entire_binding(),
            });
            let entries: Vec<_> = (0..)
                .zip(std::iter::once(uniform).chain(storage))
                .map(|(binding, resource)| wgpu::BindGroupEntry { binding, resource })
                .collect();
            self.device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: None,
                layout: &pipeline.layout,
                entries: &entries,
            })
        };
        let bind_groups = program.bind_sets.iter().map(bind).collect();
        Prepared { params, buffers, bind_groups }
    }

    /// Uploads, dispatches and copies to staging, as one submit.
    fn submit<Tag, H: Host<Tag>>(
        &self,
        submission: &Submission<Tag>,
        prepared: &Prepared,
        pipelines: &Pipelines,
        host: &H,
    ) -> Option<Staged> {
        for upload in &submission.uploads {
            let data = host.upload(&upload.tag, upload.len);
            let buffer = &prepared.buffers[upload.buffer];
            self.queue.write_buffer(buffer, 0, bytemuck::cast_slice(&data));
        }
        self.queue.write_buffer(&prepared.params, 0, &submission.params);
        let mut encoder = self.device.create_command_encoder(&Default::default());
        record(&mut encoder, submission, prepared, pipelines);
        let total = submission.downloads.iter().map(bytes).sum();
        if total == 0 {
            self.queue.submit([encoder.finish()]);
            return None;
        }
        let staging = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("staging"),
            size: total,
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let mut offset = 0;
        for download in &submission.downloads {
            let source = &prepared.buffers[download.buffer];
            encoder.copy_buffer_to_buffer(source, 0, &staging, offset, bytes(download));
            offset += bytes(download);
        }
        let submission = self.queue.submit([encoder.finish()]);
        let (done, mapped) = oneshot::channel();
        staging.map_async(wgpu::MapMode::Read, .., move |result| {
            let _ = done.send(result); // nobody waits any more if the call's future was dropped
        });
        Some(Staged { buffer: staging, mapped, submission })
    }

    async fn read_back<Tag, H: Host<Tag>>(
        &self,
        staged: Staged,
        submission: &Submission<Tag>,
        host: &mut H,
        wait: Wait,
    ) -> Result<(), Error> {
        self.wait_for(&staged, wait);
        match staged.mapped.await {
            Ok(Ok(())) => {}
            _ => return Err(self.set_lost("the results can't be read back")),
        }
        let read = || -> Result<(), wgpu::MapRangeError> {
            let view = staged.buffer.get_mapped_range(..)?;
            let mut rest: &[f32] = bytemuck::cast_slice(&view);
            for download in &submission.downloads {
                let (data, after) = rest.split_at(download.len);
                host.download(&download.tag, data);
                rest = after;
            }
            Ok(())
        };
        self.scoped(read).await?.map_err(|error| Error::Internal { reason: error.to_string() })
    }

    /// Sees to it that the submission's callbacks are called.
    fn wait_for(&self, staged: &Staged, wait: Wait) {
        let (device, buffer) = (self.device.clone(), staged.buffer.clone());
        let until = wgpu::PollType::Wait { submission_index: Some(staged.submission.clone()), timeout: None };
        let poll = move || {
            // wgpu panics here if the device is lost while it waits, and leaves the callback pending:
            // unmapping calls it, with an error.
            if !matches!(catch_unwind(AssertUnwindSafe(|| device.poll(until))), Ok(Ok(_))) {
                let _ = catch_unwind(AssertUnwindSafe(|| buffer.unmap()));
            }
        };
        match wait {
            Wait::Block => poll(),
            #[cfg(not(target_family = "wasm"))]
            Wait::Async => {
                let fallback = poll.clone();
                if std::thread::Builder::new().spawn(poll).is_err() {
                    fallback(); // no thread to be had: better to block than to never wake up
                }
            }
            #[cfg(target_family = "wasm")]
            Wait::Async => drop(poll), // the browser calls back by itself
        }
    }
}

fn record<Tag>(
    encoder: &mut wgpu::CommandEncoder,
    submission: &Submission<Tag>,
    prepared: &Prepared,
    pipelines: &Pipelines,
) {
    if submission.dispatches.is_empty() {
        return;
    }
    let mut pass = encoder.begin_compute_pass(&Default::default());
    let mut current = None;
    for dispatch in &submission.dispatches {
        if current != Some(dispatch.pipeline) {
            pass.set_pipeline(&pipelines.pipelines[dispatch.pipeline].pipeline);
            current = Some(dispatch.pipeline);
        }
        pass.set_bind_group(0, &prepared.bind_groups[dispatch.bind_set], &[dispatch.params]);
        let [x, y, z] = dispatch.grid;
        pass.dispatch_workgroups(x, y, z);
    }
}

fn bytes<Tag>(transfer: &Transfer<Tag>) -> u64 {
    4 * transfer.len as u64
}
