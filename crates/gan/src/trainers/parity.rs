//! Trainers against PyTorch, step by step.
