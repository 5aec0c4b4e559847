pub mod claude;
