"""Jobs as child processes of this node: started, listened to, watched, ended, and found again after a kill -9.

The door is `LocalLauncher`, the protocol behind it `Launcher` in managers/ports.py. Open first: local_launcher.py.
"""

from managers.launcher.local_launcher import LauncherSettings, LocalLauncher

__all__ = ["LauncherSettings", "LocalLauncher"]
