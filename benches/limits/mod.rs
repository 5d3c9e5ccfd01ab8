//! The adapter's highest rates, measured with kernels of a few lines, to compare other figures with.
//!
//! Needs only `wgpu` and `pollster`. Each kernel's result is checked; a wrong one panics.

use std::time::Instant;

/// The adapter's limits, as measured.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Multiply-adds on registers, on every core: 10⁹ operations a second, a multiply-add being two.
    pub fma_gflops: f64,
    /// Loads of `vec4f` from a storage buffer in the nearest cache: 10⁹ bytes a second, of 16 a load.
    pub load_gbps: f64,
    /// One more dispatch of a tiny kernel in a submission, in microseconds.
    pub dispatch_us: f64,
    /// Submit one tiny dispatch, wait and read 4 bytes back, in microseconds.
    pub round_trip_us: f64,
}

const WORKGROUP_SIZE: u32 = 64;
/// 512 workgroups are enough to occupy a large GPU's compute units several times over.
const WORKGROUPS: u32 = 512;
const INVOCATIONS: u32 = WORKGROUP_SIZE * WORKGROUPS;
/// 16 KiB of `vec4f`: half of the smallest first-level cache in use.
const ELEMENTS: u32 = 1024;
/// Some 4·10⁹ operations of `fma`, 0.1 s on two CPU cores.
const FMA_ROUNDS: u32 = 256;
const LOAD_ROUNDS: u32 = 256;
/// Operations of one loop turn of `fma.wgsl`: 3 chains × 16 steps × 4 components × 2.
const FMA_OPERATIONS: u32 = 3 * 16 * 4 * 2;
/// Bytes of one loop turn of `load.wgsl`: 4 loads of 16.
const LOAD_BYTES: u32 = 4 * 16;
const DISPATCHES: u32 = 1000;

/// Measures the limits of `device`: about two seconds on a software adapter.
///
/// # Panics
///
/// If the device fails, or if a kernel's result is wrong.
pub fn measure(device: &wgpu::Device, queue: &wgpu::Queue) -> Limits {
    let bench = Bench { device, queue };
    let per_second = |amount: u32, seconds: f64| f64::from(INVOCATIONS) * f64::from(amount) / seconds / 1e9;
    let (one, many) = (bench.count(1), bench.count(DISPATCHES));
    Limits {
        fma_gflops: per_second(FMA_ROUNDS * FMA_OPERATIONS, bench.fma()),
        load_gbps: per_second(LOAD_ROUNDS * LOAD_BYTES, bench.load()),
        dispatch_us: (many - one) / f64::from(DISPATCHES - 1) * 1e6,
        round_trip_us: one * 1e6,
    }
}

struct Bench<'a> {
    device: &'a wgpu::Device,
    queue: &'a wgpu::Queue,
}

impl Bench<'_> {
    /// Seconds of the fastest call of `fma_peak`.
    fn fma(&self) -> f64 {
        let (m, n) = (0.5f32, 1.0f32);
        let start: Vec<u8> = [m, n, 0.0, 0.0].map(f32::to_le_bytes).concat().repeat(INVOCATIONS as usize);
        let sink = self.buffer(&start);
        let constants = [("WORKGROUP_SIZE", f64::from(WORKGROUP_SIZE)), ("ROUNDS", f64::from(FMA_ROUNDS))];
        let pipeline = self.pipeline(include_str!("fma.wgsl"), &constants);
        let seconds = (0..5).map(|_| {
            self.queue.write_buffer(&sink, 0, &start);
            let (bytes, seconds) = self.run(&pipeline, &[&sink], WORKGROUPS, 1);
            // every chain's fixed point is n / (1 - m)
            assert_eq!(first_f32(&bytes), 3.0 * n / (1.0 - m), "fma_peak");
            seconds
        });
        seconds.fold(f64::INFINITY, f64::min)
    }

    /// Seconds of the fastest call of `load_rate`.
    fn load(&self) -> f64 {
        let source = self.buffer(&1f32.to_le_bytes().repeat(4 * ELEMENTS as usize));
        let sink = self.buffer(&vec![0; 16 * INVOCATIONS as usize]);
        let constants = [
            ("WORKGROUP_SIZE", f64::from(WORKGROUP_SIZE)),
            ("ROUNDS", f64::from(LOAD_ROUNDS)),
            ("ELEMENTS", f64::from(ELEMENTS)),
        ];
        let pipeline = self.pipeline(include_str!("load.wgsl"), &constants);
        let seconds = (0..5).map(|_| {
            let (bytes, seconds) = self.run(&pipeline, &[&sink, &source], WORKGROUPS, 1);
            assert_eq!(first_f32(&bytes), 4.0 * LOAD_ROUNDS as f32, "load_rate");
            seconds
        });
        seconds.fold(f64::INFINITY, f64::min)
    }

    /// Median seconds of a submission of so many tiny dispatches, with the read-back.
    fn count(&self, dispatches: u32) -> f64 {
        let sink = self.buffer(&[0; 4]);
        let pipeline = self.pipeline(include_str!("count.wgsl"), &[]);
        let mut seconds: Vec<f64> = (1..=15)
            .map(|call| {
                let (bytes, seconds) = self.run(&pipeline, &[&sink], 1, dispatches);
                assert_eq!(bytes, (call * dispatches).to_le_bytes(), "count");
                seconds
            })
            .collect();
        seconds.sort_by(f64::total_cmp);
        seconds[seconds.len() / 2]
    }

    /// The first 4 bytes of the first buffer after the dispatches, and the seconds from submission to them.
    fn run(
        &self,
        pipeline: &wgpu::ComputePipeline,
        buffers: &[&wgpu::Buffer],
        workgroups: u32,
        dispatches: u32,
    ) -> (Vec<u8>, f64) {
        let entries: Vec<_> = (0..)
            .zip(buffers)
            .map(|(binding, buffer)| wgpu::BindGroupEntry { binding, resource: buffer.as_entire_binding() })
            .collect();
        let group = self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &pipeline.get_bind_group_layout(0),
            entries: &entries,
        });
        let read_back = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: 4,
            usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
            mapped_at_creation: false,
        });
        // finish earlier writes before the time starts
        self.queue.submit([]);
        self.device.poll(wgpu::PollType::wait_indefinitely()).expect("the device works");
        let start = Instant::now();
        let mut encoder = self.device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&Default::default());
        pass.set_pipeline(pipeline);
        pass.set_bind_group(0, &group, &[]);
        for _ in 0..dispatches {
            pass.dispatch_workgroups(workgroups, 1, 1);
        }
        drop(pass);
        encoder.copy_buffer_to_buffer(buffers[0], 0, &read_back, 0, 4);
        self.queue.submit([encoder.finish()]);
        read_back.map_async(wgpu::MapMode::Read, .., |mapped| mapped.expect("the buffer can be mapped"));
        self.device.poll(wgpu::PollType::wait_indefinitely()).expect("the device works");
        let bytes = read_back.get_mapped_range(..).expect("it is mapped").to_vec();
        (bytes, start.elapsed().as_secs_f64())
    }

    fn buffer(&self, contents: &[u8]) -> wgpu::Buffer {
        let buffer = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: contents.len() as u64,
            usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        self.queue.write_buffer(&buffer, 0, contents);
        buffer
    }

    fn pipeline(&self, source: &str, constants: &[(&str, f64)]) -> wgpu::ComputePipeline {
        let module = self.device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: None,
            source: wgpu::ShaderSource::Wgsl(source.into()),
        });
        self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: None,
            layout: None,
            module: &module,
            entry_point: None,
            compilation_options: wgpu::PipelineCompilationOptions { constants, ..Default::default() },
            cache: None,
        })
    }
}

fn first_f32(bytes: &[u8]) -> f32 {
    f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}
