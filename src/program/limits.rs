//! What a device allows.

/// What a device allows, as far as programs need to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DeviceLimits {
    /// Bytes of one storage binding.
    pub max_binding: u64,
    /// Bytes of one buffer.
    pub max_buffer: u64,
    /// Workgroups in one dimension of a dispatch.
    pub max_workgroups: u32,
    /// Alignment in bytes of a uniform's offset.
    pub uniform_alignment: u32,
    /// Alignment in bytes of a storage binding's offset.
    pub storage_alignment: u32,
    /// Invocations of a workgroup.
    pub max_invocations: u32,
    /// Bytes of workgroup memory.
    pub max_workgroup_bytes: u32,
    /// Sizes of subgroups, where shaders may use them.
    pub subgroups: Option<SubgroupSizes>,
    /// Whether the adapter is a processor that emulates a GPU.
    pub software: bool,
    /// Whether a browser is between: it checks every dispatch, and every index in a shader.
    pub browser: bool,
    /// Workgroups that run side by side, as far as can be known: threads of a processor, compute units of a GPU.
    pub units: u32,
    /// Nanoseconds from one dispatch to the next that depends on it, as far as can be known.
    pub dispatch_ns: u32,
}

impl DeviceLimits {
    /// Those that WebGPU guarantees, of a GPU of one unit.
    pub const GUARANTEED: Self = Self {
        max_binding: 128 << 20,
        max_buffer: 256 << 20,
        max_workgroups: 65_535,
        uniform_alignment: 256,
        storage_alignment: 256,
        max_invocations: 256,
        max_workgroup_bytes: 16 << 10,
        subgroups: None,
        software: false,
        browser: false,
        units: 1,
        dispatch_ns: 5_000,
    };
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SubgroupSizes {
    pub min: u32,
    pub max: u32,
}
