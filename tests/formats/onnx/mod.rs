//! ONNX models: those of PyTorch's exporters and ONNX Runtime's quantizer, and models that are built here.

mod builder;
mod exporters;
mod external;
mod folding;
mod functions;
mod hostile;
mod network;
mod other_content;
mod quantized;
mod refused;
mod stacks;
