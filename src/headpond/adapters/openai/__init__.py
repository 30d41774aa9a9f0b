"""Any server that speaks OpenAI's chat-completion interface: vLLM, llama.cpp, TGI, Ollama."""
