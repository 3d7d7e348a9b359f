throw new Error("this worker file cannot be loaded");
