//! Breaks rules of Vulkan on purpose: scripts/validation-layers checks that the layers are active and report them.
#![cfg(target_os = "linux")]
#![expect(unsafe_code, reason = "only calls of Vulkan itself break its rules")]

mod common;

use ash::vk;
use wgpu_lstm::wgpu::{self, hal::api::Vulkan};

/// Breaks a rule about an argument, and one that only the synchronisation checks see: two writes of one buffer with no
/// barrier between them.
#[test]
#[ignore = "scripts/validation-layers runs it: elsewhere nobody sees what it breaks"]
fn an_empty_buffer_and_two_writes_without_a_barrier() {
    let (device, _) = common::device::open(wgpu::Features::empty(), wgpu::Limits::default());
    // SAFETY: the device is Vulkan's, and outlives every use of the handle. Drivers do not look at the sizes
    // that the layers complain of, and nothing is submitted.
    unsafe {
        let hal = device.as_hal::<Vulkan>().expect("a Vulkan device");
        let raw = hal.raw_device();
        let usage = vk::BufferUsageFlags::TRANSFER_DST;
        if let Ok(empty) = raw.create_buffer(&vk::BufferCreateInfo::default().usage(usage), None) {
            raw.destroy_buffer(empty, None);
        }

        let buffer = raw.create_buffer(&vk::BufferCreateInfo::default().size(64).usage(usage), None).unwrap();
        let needs = raw.get_buffer_memory_requirements(buffer);
        let memory = vk::MemoryAllocateInfo::default()
            .allocation_size(needs.size)
            .memory_type_index(needs.memory_type_bits.trailing_zeros());
        let memory = raw.allocate_memory(&memory, None).unwrap();
        raw.bind_buffer_memory(buffer, memory, 0).unwrap();
        let pool = vk::CommandPoolCreateInfo::default().queue_family_index(hal.queue_family_index());
        let pool = raw.create_command_pool(&pool, None).unwrap();
        let commands = vk::CommandBufferAllocateInfo::default().command_pool(pool).command_buffer_count(1);
        let commands = raw.allocate_command_buffers(&commands).unwrap()[0];
        raw.begin_command_buffer(commands, &vk::CommandBufferBeginInfo::default()).unwrap();
        raw.cmd_fill_buffer(commands, buffer, 0, 64, 1);
        raw.cmd_fill_buffer(commands, buffer, 0, 64, 2);
        raw.end_command_buffer(commands).unwrap();
        raw.destroy_command_pool(pool, None);
        raw.destroy_buffer(buffer, None);
        raw.free_memory(memory, None);
    }
}
