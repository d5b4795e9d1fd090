//! The embedded local runtime: GGUF and safetensors models, tokenizers, decoders and encoders on the CPU.
