from photonsim.cli import main

main()
